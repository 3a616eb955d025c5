//! The training loop and evaluation against the same written out with autograd, example by example.

use reproduction::data::splits::Splits;
use reproduction::data::{Examples, embedded};
use reproduction::experiment::{self, Experiment, Initialization, Layer, Order, Precision, Training, Views};
use reproduction::history::{History, Metric, Split as Part};
use reproduction::layers::Mode;
use reproduction::loss::{Objective, cross_entropy};
use reproduction::model::{Mlp, Model, Parameter, build};
use reproduction::seed::{Purpose, draw};
use reproduction::train::{Callbacks, Checkpoints, Interrupted, Request, Resumed, RunIdentity, State, evaluate};
use std::cell::RefCell;
use std::path::Path;
use tch::{Device, Kind, Tensor};

fn splits() -> Splits {
    let (train, test) = embedded::digits(350, 1_234, 0);
    let split = "split = { validation = \"last\", validation_examples = 100 }";
    let experiment: Experiment = toml::from_str(&format!("{split}\nmodel = {{ initialization = \"glorot\" }}")).expect("an experiment");
    Splits::new(&train, Some(&test), &experiment, 0, Device::Cpu).expect("250 to train on")
}

fn network() -> Mlp {
    draw(1, Purpose::Initialization, 0, || Mlp::new(784, &[20, 15], 10, Initialization::Glorot, Kind::Float, Device::Cpu))
}

fn training(epochs: i64, learning_rate: f64, order: Order) -> Training {
    let text = format!("epochs = {epochs}\nminibatch = 100\nlearning_rate = 1\norder = \"shuffled\"");
    Training { learning_rate, order, ..toml::from_str(&text).expect("training") }
}

fn fit(model: &dyn Model, splits: &Splits, training: &Training, seed: u64) -> anyhow::Result<History> {
    reproduction::train::fit(model, splits, training, seed, State::new(training), &mut ())
}

fn train(training: &Training, seed: u64) -> (Mlp, History) {
    let network = network();
    let history = fit(&network, &splits(), training, seed).expect("finite");
    (network, history)
}

#[test]
fn an_epoch_is_gradient_descent_over_every_minibatch() {
    let (trained, _) = train(&training(2, 0.1, Order::AsPublished), 0);
    let (by_hand, splits) = (network(), splits());
    let parameters: Vec<Tensor> = by_hand.parameters().iter().map(|parameter| parameter.tensor.set_requires_grad(true)).collect();
    for _ in 0..2 {
        // The last minibatch has fifty examples; its loss is a mean over these.
        for (start, length) in [(0, 100), (100, 100), (200, 50)] {
            let minibatch = splits.train.range(start, length);
            let loss = cross_entropy(&by_hand.logits(&minibatch.images, Mode::Eval), &minibatch.labels);
            let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
            tch::no_grad(|| {
                for (parameter, gradient) in parameters.iter().zip(gradients) {
                    let _ = parameter.shallow_clone().g_sub_(&(gradient * 0.1));
                }
            });
        }
    }
    for (ours, theirs) in trained.parameters().iter().zip(&parameters) {
        assert!(ours.tensor.allclose(&theirs.detach(), 1e-4, 1e-6, false), "{}", ours.name);
    }
}

#[test]
fn metrics_are_means_over_all_examples() {
    let (network, splits) = (network(), splits());
    let test = splits.test.expect("has labels");
    let measured = evaluate(&network, &test);
    let logits = network.logits(&test.range(0, 1_234).images, Mode::Eval).to_kind(Kind::Double);
    let rows = Vec::<Vec<f64>>::try_from(&logits).expect("rows");
    let labels = Vec::<i64>::try_from(&test.labels).expect("labels");
    let softmax = |row: &[f64]| -> Vec<f64> {
        let total: f64 = row.iter().map(|value| value.exp()).sum();
        row.iter().map(|value| value.exp() / total).collect()
    };
    let (mut loss, mut right, mut twice) = (0.0, 0.0, 0.0);
    for (row, label) in rows.iter().zip(&labels) {
        let (label, probabilities) = (*label as usize, softmax(row));
        loss -= probabilities[label].ln() / 1_234.0;
        twice -= softmax(&probabilities)[label].ln() / 1_234.0;
        right += f64::from(u8::from(row.iter().all(|value| *value <= row[label]))) / 1_234.0;
    }
    for (metric, expected) in [(Metric::Loss, loss), (Metric::Accuracy, right), (Metric::TwiceSoftmaxedLoss, twice)] {
        let (_, value) = measured.iter().find(|(name, _)| *name == metric).expect("measured");
        assert!((value - expected).abs() < 1e-6, "{metric:?}: {value} and by hand {expected}");
    }
}

#[test]
fn the_seed_decides_the_order_and_nothing_else_does() {
    let shuffled = |seed| train(&training(2, 0.1, Order::Shuffled), seed).1;
    assert_eq!(shuffled(1), shuffled(1));
    assert_ne!(shuffled(1), shuffled(2));
    let published = |seed| train(&training(2, 0.1, Order::AsPublished), seed).1;
    assert_eq!(published(1), published(2), "the file's order has nothing random");
}

#[test]
fn a_history_has_every_epoch_and_training_learns() {
    #[derive(Default)]
    struct Counting {
        minibatches: u64,
        epochs: Vec<i64>,
    }
    impl Callbacks for Counting {
        fn after_minibatch(&mut self) {
            self.minibatches += 1;
        }

        fn after_epoch(&mut self, state: &State) {
            self.epochs.push(state.epoch);
        }
    }
    let (training, mut counting) = (training(3, 0.3, Order::Shuffled), Counting::default());
    let history = reproduction::train::fit(&network(), &splits(), &training, 1, State::new(&training), &mut counting).expect("finite");
    assert_eq!((counting.minibatches, counting.epochs), (9, vec![1, 2, 3]));
    assert_eq!(history.records.len(), 3 * 3 * 3);
    let loss = |epoch| history.get(epoch, Part::Train, Metric::Loss).expect("measured");
    assert!(loss(3) < loss(1), "{} then {}", loss(1), loss(3));
}

/// Passes everything on to a network and notes in which mode.
struct Noting {
    network: Mlp,
    modes: RefCell<Vec<Mode>>,
}

impl Model for Noting {
    fn parameters(&self) -> Vec<Parameter> {
        self.network.parameters()
    }

    fn logits(&self, images: &Tensor, mode: Mode) -> Tensor {
        assert_eq!(mode, Mode::Eval, "nothing is dropped when a network is measured");
        self.network.logits(images, mode)
    }

    fn gradients(&self, images: &Tensor, labels: &Tensor, mode: Mode, objective: Objective) -> (Tensor, Vec<Tensor>) {
        self.modes.borrow_mut().push(mode);
        self.network.gradients(images, labels, mode, objective)
    }
}

#[test]
fn each_minibatch_of_each_epoch_has_a_number_of_its_own() {
    let noting = Noting { network: network(), modes: RefCell::default() };
    fit(&noting, &splits(), &training(2, 0.1, Order::Shuffled), 7).expect("finite");
    let expected: Vec<Mode> = (0..6).map(|minibatch| Mode::Train { seed: 7, minibatch }).collect();
    assert_eq!(noting.modes.into_inner(), expected);
}

#[test]
fn a_network_of_layers_learns_in_the_same_loop() {
    let layers = [Layer::Convolution(4), Layer::MaxPool, Layer::FullyConnected(20), Layer::Dropout(0.2), Layer::FullyConnected(10)];
    let model = experiment::Model {
        hidden: Vec::new(),
        layers: layers.to_vec(),
        initialization: Initialization::KaimingUniform,
        bias_initialization: None,
        precision: Precision::F32,
        test_time_augmentation: Views::Single,
        teacher: None,
        parameters: None,
    };
    let history = |seed| {
        let network = build(&model, [1, 28, 28], 10, 1, Device::Cpu).expect("fits");
        let training = Training { momentum: 0.9, weight_decay: 1e-4, ..training(20, 0.1, Order::AsPublished) };
        fit(&*network, &splits(), &training, seed).expect("finite")
    };
    let first = history(1);
    let loss = |epoch| first.get(epoch, Part::Train, Metric::Loss).expect("measured");
    assert!(loss(20) < 0.7 * loss(1), "{} then {}", loss(1), loss(20));
    assert_eq!(first, history(1));
    assert_ne!(first, history(2), "in the file's order, only what is dropped differs");
}

/// Everything that a state has to hold: a network with dropout, momentum, augmentation, a plateau rule, early stopping, the best epoch.
fn whole() -> (Experiment, Splits) {
    prepared(
        r#"
        split = { validation = "random", validation_share = 0.25 }
        normalization = { mean = [0.5, 0.5, 0.5], deviation = [0.3, 0.3, 0.3] }
        augmentation = { rotation = 10, flip = 0.5, crop_scale = [0.8, 1], crop_ratio = [1, 1], brightness = 0.2, contrast = 0, saturation = 0, hue = 0, grayscale = 0.2 }
        [model]
        initialization = "glorot"
        bias_initialization = "kaiming_uniform"
        layers = [{ convolution = 4 }, "max_pool", { fully_connected = 8 }, { dropout = 0.4 }, { fully_connected = 2 }]
        [training]
        epochs = 8
        minibatch = 16
        learning_rate = 0.3
        momentum = 0.9
        momentum_form = "rate_inside"
        weight_decay = 1e-3
        order = "shuffled"
        keep = "best"
        reduce_on_plateau = { factor = 0.9, patience = 0, threshold = 0.5 }
        early_stopping = { patience = 8 }
    "#,
    )
}

/// And what excludes some of that: running means, a schedule, an average, epochs that are not measured.
fn averaged() -> (Experiment, Splits) {
    prepared(
        r#"
        split = { validation = "random", validation_share = 0.25 }
        [model]
        initialization = "glorot"
        test_time_augmentation = "mirrored"
        layers = [{ convolution = 4 }, "batch_norm", "max_pool", { residual_block = 6 }, "global_average_pool", { fully_connected = 2 }]
        [training]
        epochs = 5
        minibatch = 16
        learning_rate = 0.3
        momentum = 0.9
        weight_decay = 1e-3
        label_smoothing = 0.1
        ema_decay = 0.95
        order = "shuffled"
        schedule = { warm_up = 0.2, decay = "cosine" }
        evaluate_every = 2
    "#,
    )
}

/// The same with Adam.
fn with_adam() -> (Experiment, Splits) {
    let (mut experiment, splits) = averaged();
    let training = experiment.training.as_mut().expect("there is one");
    (training.optimizer, training.momentum, training.learning_rate) = (experiment::OptimizerKind::Adam, 0.0, 0.01);
    (experiment, splits)
}

fn prepared(text: &str) -> (Experiment, Splits) {
    // So small that a second thread would only be waited for.
    tch::set_num_threads(1);
    let experiment: Experiment = toml::from_str(text).expect("an experiment");
    experiment.check().expect("a good one");
    // One class is a little redder than the other, and not always.
    let (images, labels, redder) = draw(6, Purpose::Embedded, 0, || {
        let integers = |high: i64, size: &[i64], kind| Tensor::randint(high, size, (kind, Device::Cpu));
        let labels = integers(2, &[200], Kind::Int64);
        (integers(160, &[200, 3, 12, 12], Kind::Uint8), labels.shallow_clone(), labels * 30 + integers(60, &[200], Kind::Int64))
    });
    let _ = images.select(1, 0).g_add_(&redder.to_kind(Kind::Uint8).view([-1, 1, 1]));
    let splits = Splits::new(&Examples { images, labels }, None, &experiment, 1, Device::Cpu).expect("splits");
    (experiment, splits)
}

fn built(experiment: &Experiment) -> Box<dyn Model> {
    build(&experiment.model, [3, 12, 12], 2, 1, Device::Cpu).expect("fits")
}

fn tensors(model: &dyn Model) -> Vec<Tensor> {
    model.values().into_iter().map(|value| value.tensor.copy()).collect()
}

/// Keeps where training stands in a folder, and stops it when it is asked for the so-many-th time what it wants.
struct Stopping<'a> {
    checkpoints: &'a Checkpoints,
    identity: RunIdentity,
    asked: usize,
    stop_at: usize,
}

impl<'a> Stopping<'a> {
    fn new(checkpoints: &'a Checkpoints, stop_at: usize) -> Stopping<'a> {
        Stopping { checkpoints, identity: RunIdentity::default(), asked: 0, stop_at }
    }
}

impl Callbacks for Stopping<'_> {
    fn request(&mut self) -> Request {
        self.asked += 1;
        if self.asked == self.stop_at { Request::Stop } else { Request::Continue }
    }

    fn checkpoint(&mut self, state: &State, parameters: &[Parameter]) -> anyhow::Result<()> {
        self.checkpoints.write(state, parameters, &self.identity).map(drop)
    }
}

/// Trains until the `stop_at`-th time of asking; what went on from there with another network of the same kind, after `change`.
fn interrupted(what: &(Experiment, Splits), stop_at: usize, change: impl Fn(&mut State)) -> anyhow::Result<(History, Vec<Tensor>)> {
    let (experiment, splits) = what;
    let training = experiment.training()?;
    let folder = tempfile::tempdir()?;
    let checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
    let model = built(experiment);
    let mut stopping = Stopping::new(&checkpoints, stop_at);
    let stopped = reproduction::train::fit(&*model, splits, training, 1, State::new(training), &mut stopping);
    assert!(stopped.expect_err("stopped").is::<Interrupted>());
    let again = built(experiment);
    let resumed = checkpoints.resume(training, &mut again.values(), &RunIdentity::default())?;
    let Resumed { mut state, notices, .. } = resumed.expect("there is a checkpoint");
    assert_eq!(notices, Vec::<String>::new());
    change(&mut state);
    let history = reproduction::train::fit(&*again, splits, training, 1, state, &mut ())?;
    Ok((history, tensors(&*again)))
}

fn uninterrupted(what: &(Experiment, Splits)) -> anyhow::Result<(History, Vec<Tensor>, usize)> {
    let (experiment, splits) = what;
    let (training, model, nowhere) = (experiment.training()?, built(experiment), Checkpoints::new(Path::new("nowhere").into()));
    let mut counting = Stopping::new(&nowhere, usize::MAX);
    let history = reproduction::train::fit(&*model, splits, training, 1, State::new(training), &mut counting)?;
    Ok((history, tensors(&*model), counting.asked))
}

#[test]
fn wherever_it_is_interrupted_it_ends_where_the_uninterrupted_run_does() -> anyhow::Result<()> {
    // Ten minibatches, two measurements and the end of the epoch, eight times; or the measurements after the epochs 2, 4 and 5 only.
    for (what, epochs, times) in [(whole(), 8, 8 * 13), (averaged(), 5, 5 * 11 + 3 * 2), (with_adam(), 5, 5 * 11 + 3 * 2)] {
        let (history, values, asked) = uninterrupted(&what)?;
        assert_eq!((history.epochs(), asked), (epochs, times));
        assert_eq!(history.get(epochs, Part::Test, Metric::Loss), None, "there are no test labels");
        for stop_at in (1..=asked).step_by(3) {
            let (resumed, again) = interrupted(&what, stop_at, |_| {})?;
            assert_eq!(resumed, history, "stopped at {stop_at}");
            assert_eq!(again, values, "stopped at {stop_at}");
        }
    }
    Ok(())
}

#[test]
fn the_time_of_earlier_runs_is_a_part_of_the_state() -> anyhow::Result<()> {
    let (experiment, _) = averaged();
    let (training, model) = (experiment.training()?, built(&experiment));
    let mut earlier = 100.0;
    for _ in 0..2 {
        let folder = tempfile::tempdir()?;
        let checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
        let mut state = State::new(training);
        state.earlier_seconds = earlier;
        std::thread::sleep(std::time::Duration::from_millis(2));
        checkpoints.write(&state, &model.values(), &RunIdentity::default())?;
        let resumed = checkpoints.resume(training, &mut model.values(), &RunIdentity::default())?.expect("there is a checkpoint");
        assert!((earlier + 0.002..earlier + 60.0).contains(&resumed.state.earlier_seconds), "{}", resumed.state.earlier_seconds);
        earlier = resumed.state.earlier_seconds;
    }
    Ok(())
}

#[test]
fn the_average_is_a_part_of_the_state() -> anyhow::Result<()> {
    let what = averaged();
    let (history, values, _) = uninterrupted(&what)?;
    let forget = |state: &mut State| state.ema.as_mut().expect("there is one").tensors.clear();
    assert_ne!(interrupted(&what, 30, forget)?, (history, values));
    Ok(())
}

#[test]
fn only_the_epochs_that_are_asked_for_and_the_last_are_measured() {
    let training = Training { evaluate_every: 2, ..training(5, 0.1, Order::Shuffled) };
    let (_, history) = train(&training, 1);
    let mut epochs: Vec<i64> = history.records.iter().map(|record| record.epoch).collect();
    epochs.dedup();
    assert_eq!(epochs, [2, 4, 5]);
}

#[test]
fn each_step_has_the_rate_of_its_schedule_and_the_mean_over_all_steps_is_what_is_measured_and_kept() {
    let plain = training(2, 0.2, Order::AsPublished);
    let schedule = Some(experiment::Schedule { warm_up: 0.25, decay: experiment::Decay::Linear });
    let training = Training { schedule, ema_decay: 0.5, label_smoothing: 0.2, ..plain };
    let (trained, history) = train(&training, 0);
    let (by_hand, splits) = (network(), splits());
    let parameters: Vec<Tensor> = by_hand.parameters().iter().map(|parameter| parameter.tensor.set_requires_grad(true)).collect();
    let mut means: Vec<Tensor> = Vec::new();
    // Six steps; the rate rises to 0.2 when a quarter is done, and falls to 0 at the end. Each step has that of its middle.
    for step in 0..6 {
        let (start, length) = [(0, 100), (100, 100), (200, 50)][step % 3];
        let share = (step as f64 + 0.5) / 6.0;
        let rate = 0.2 * if share < 0.25 { share / 0.25 } else { (1.0 - share) / 0.75 };
        let minibatch = splits.train.range(start, length);
        let logits = by_hand.logits(&minibatch.images, Mode::Eval);
        let uniform = -logits.log_softmax(-1, None::<Kind>).mean(None::<Kind>);
        let loss = cross_entropy(&logits, &minibatch.labels) * 0.8 + uniform * 0.2;
        let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
        tch::no_grad(|| {
            for (parameter, gradient) in parameters.iter().zip(gradients) {
                let _ = parameter.shallow_clone().g_sub_(&(gradient * rate));
            }
            let stays = 0.5_f64.min((1.0 + step as f64) / (10.0 + step as f64));
            let mean = |(place, now): (usize, &Tensor)| means.get(place).map_or(now.copy(), |mean| mean * stays + now * (1.0 - stays));
            means = parameters.iter().enumerate().map(mean).collect();
        });
    }
    for (ours, theirs) in trained.parameters().iter().zip(&means) {
        assert!(ours.tensor.allclose(&theirs.detach(), 1e-4, 1e-6, false), "{}", ours.name);
    }
    let measured = evaluate(&trained, &splits.validation);
    let last = |metric| history.get(2, Part::Validation, metric).expect("measured");
    assert!(measured.iter().all(|(metric, value)| *value == last(*metric)), "the averaged network is the one that was measured");
}

#[test]
fn whatever_is_left_out_of_a_state_is_noticed() -> anyhow::Result<()> {
    let all = whole();
    let (history, values, _) = uninterrupted(&all)?;
    let expected = (history, values);
    let parameters = built(&all.0).parameters();
    let scale = |state: &mut State, name: &str, factor: f64| {
        let scaled = |(key, tensor): (String, Tensor)| if key.ends_with(name) { (key, tensor * factor) } else { (key, tensor) };
        let changed = state.optimizer.state().into_iter().map(scaled).collect();
        state.optimizer.restore(&changed, &parameters).expect("fits");
    };
    // In the middle of the seventh epoch; the best one is the sixth.
    let stop_at = 6 * 13 + 5;
    assert_eq!(interrupted(&all, stop_at, |_| {})?, expected);
    type Change<'a> = (&'a str, &'a dyn Fn(&mut State));
    let changes: [Change; 9] = [
        ("momentum", &|state| scale(state, "momentum_buffer", 0.0)),
        ("the momentum's unit", &|state| scale(state, "velocity_rate", 2.0)),
        ("one layer's momentum", &|state| scale(state, "1.momentum_buffer", 0.0)),
        ("the place in the epoch, and so in its order, its changes of images and what is dropped", &|state| state.minibatch = 0),
        ("the learning rate", &|state| state.optimizer.set_learning_rate(0.3)),
        ("the plateau rule's memory", &|state| state.plateau = State::new(whole().0.training().expect("there is one")).plateau),
        ("early stopping", &|state| state.is_stopped = true),
        ("the best epoch", &|state| state.best = None),
        ("the history", &|state| state.history = History::default()),
    ];
    for (what, change) in changes {
        assert_ne!(interrupted(&all, stop_at, change)?, expected, "{what}");
    }
    Ok(())
}

/// Two checkpoints, and the newest damaged in a random place: it is always noticed, and the one before used.
/// `DAMAGES=20000 cargo test --test training damage -- --nocapture` does more.
#[test]
fn every_damage_to_a_checkpoint_is_noticed() -> anyhow::Result<()> {
    let damages: usize = std::env::var("DAMAGES").ok().map_or(90, |text| text.parse().expect("a number"));
    let (experiment, _) = whole();
    let (training, model, scratch) = (experiment.training()?, built(&experiment), tempfile::tempdir()?);
    let folder = scratch.path().join("checkpoints");
    let checkpoints = Checkpoints::new(folder.clone());
    let mut state = State::new(training);
    state.optimizer.step(&mut built(&experiment).parameters(), &tensors(&*model));
    let mut write = |epoch, minibatch| {
        (state.epoch, state.minibatch) = (epoch, minibatch);
        checkpoints.write(&state, &model.parameters(), &RunIdentity::default())
    };
    let (before, newest) = (write(1, 5)?, write(2, 0)?);
    let whole = std::fs::read(&newest)?;
    let random = draw(std::process::id().into(), Purpose::Embedded, 0, || {
        Tensor::randint(i64::MAX, [damages as i64, 3], (Kind::Int64, Device::Cpu))
    });
    let numbers = Vec::<i64>::try_from(random.flatten(0, -1))?;
    let (mut flipped, mut cut) = (0, 0);
    for (index, number) in numbers.chunks(3).enumerate() {
        let (mut bytes, place) = (whole.clone(), number[0] as usize % whole.len());
        match index % 3 {
            0 | 1 => bytes[place] ^= 1 << (number[1] % 8),
            _ => bytes.truncate(if index % 30 == 2 { 0 } else { place }),
        }
        if bytes.len() == whole.len() {
            flipped += 1
        } else {
            cut += 1
        }
        std::fs::write(&newest, bytes)?;
        let Resumed { state, path, notices } =
            checkpoints.resume(training, &mut model.parameters(), &RunIdentity::default())?.expect("there are checkpoints");
        assert_eq!((path, state.place().as_str()), (before.clone(), "in epoch 2, after minibatch 5"));
        assert!(notices.len() == 1 && notices[0].contains("is damaged"), "{notices:?}");
        assert!(!newest.exists(), "out of the way of those that come");
    }
    println!("{damages} damages, {flipped} bits flipped, {cut} cut off or emptied: all noticed");
    std::fs::write(&newest, &whole)?;
    let resumed = checkpoints.resume(training, &mut model.parameters(), &RunIdentity::default())?.expect("there are checkpoints");
    assert_eq!((resumed.path, resumed.notices.len()), (newest.clone(), 0), "undamaged, it is the newest again");
    for path in [&before, &newest] {
        std::fs::write(path, b"")?;
    }
    let error = checkpoints.resume(training, &mut model.parameters(), &RunIdentity::default()).expect_err("none is whole").to_string();
    assert!(error.contains("is whole") && error.contains("it is empty") && error.contains("--fresh trains from scratch"), "{error}");
    Ok(())
}

#[test]
fn the_best_epoch_is_kept_and_early_stopping_stops() -> anyhow::Result<()> {
    let (mut experiment, splits) = whole();
    let accuracy = |history: &History, epoch| history.get(epoch, Part::Validation, Metric::Accuracy).expect("measured");
    let model = built(&experiment);
    let history = fit(&*model, &splits, experiment.training()?, 1)?;
    let best = (1..=8).map(|epoch| accuracy(&history, epoch)).fold(0.0, f64::max);
    assert!(best > accuracy(&history, 8), "{best} is not the last: else this test says nothing");
    let kept = evaluate(&*model, &splits.validation).into_iter().find(|(metric, _)| *metric == Metric::Accuracy).expect("measured").1;
    assert_eq!(kept, best);

    let training = experiment.training.as_mut().expect("there is one");
    training.early_stopping = Some(experiment::EarlyStopping { patience: 1 });
    let stopped = fit(&*built(&experiment), &splits, experiment.training()?, 1)?;
    let loss = |epoch| history.get(epoch, Part::Validation, Metric::Loss).expect("measured");
    let first_rise = (2..=8).find(|epoch| loss(*epoch) >= (1..*epoch).map(loss).fold(f64::INFINITY, f64::min)).expect("it rises");
    assert_eq!(stopped.epochs(), first_rise);
    assert_eq!(stopped.records[..], history.records[..stopped.records.len()], "until then nothing is different");
    Ok(())
}

#[test]
fn a_loss_that_is_not_finite_stops_with_epoch_minibatch_and_rate() {
    let error = fit(&network(), &splits(), &training(2, 1e30, Order::Shuffled), 1).expect_err("diverges").to_string();
    assert!(error.contains("epoch 1, minibatch 2 of 3") || error.contains("epoch 1, minibatch 3 of 3"), "{error}");
    assert!(error.contains("from fc3 back"), "the last layer, from which gradients flow: {error}");
    assert!(error.contains("learning rate 1000000000000000000000000000000"), "{error}");
}

/// Wants everything kept at every step, and cannot keep it, or counts how often it does.
struct Keeping {
    can: bool,
    asked: usize,
    kept: usize,
}

impl Callbacks for Keeping {
    fn request(&mut self) -> Request {
        self.asked += 1;
        Request::Checkpoint
    }

    fn checkpoint(&mut self, _state: &State, _parameters: &[Parameter]) -> anyhow::Result<()> {
        self.kept += 1;
        anyhow::ensure!(self.can, "the disk is full");
        Ok(())
    }
}

#[test]
fn where_nothing_can_be_kept_training_ends_at_once() {
    let (mut full, plain) = (Keeping { can: false, asked: 0, kept: 0 }, training(2, 0.1, Order::Shuffled));
    let failed = reproduction::train::fit(&network(), &splits(), &plain, 1, State::new(&plain), &mut full);
    assert_eq!((failed.expect_err("full").to_string().as_str(), full.asked, full.kept), ("the disk is full", 1, 1));
}

#[test]
fn what_diverges_is_not_kept() {
    let (mut keeping, diverging) = (Keeping { can: true, asked: 0, kept: 0 }, training(2, 1e30, Order::Shuffled));
    let failed = reproduction::train::fit(&network(), &splits(), &diverging, 1, State::new(&diverging), &mut keeping);
    assert!(failed.expect_err("diverges").to_string().contains("training diverged"));
    assert_eq!(keeping.kept, keeping.asked - 1, "the last of the states that it asked for was bad");
}

//! The training loop and evaluation against the same written out with autograd, example by example.

use reproduction::data::embedded;
use reproduction::data::splits::Splits;
use reproduction::experiment::{self, Experiment, Initialization, Keep, Layer, MomentumForm, Order, Precision, Training};
use reproduction::history::{History, Metric, Split as Part};
use reproduction::layers::{Gradient, Mode};
use reproduction::loss::cross_entropy;
use reproduction::model::{Mlp, Model, Parameter, build};
use reproduction::seed::{Purpose, draw};
use reproduction::train::{Progress, State, evaluate};
use std::cell::RefCell;
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
    let (momentum, weight_decay, momentum_form) = (0.0, 0.0, MomentumForm::RateOutside);
    let (keep, reduce_on_plateau, early_stopping) = (Keep::Last, None, None);
    Training {
        epochs,
        minibatch: 100,
        learning_rate,
        momentum,
        weight_decay,
        momentum_form,
        order,
        keep,
        reduce_on_plateau,
        early_stopping,
    }
}

fn fit(model: &dyn Model, splits: &Splits, training: &Training, seed: u64) -> anyhow::Result<History> {
    reproduction::train::fit(model, splits, training, seed, State::new(training), &mut |_| Ok(()))
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
    let mut minibatches = 0;
    let mut epochs = Vec::new();
    let training = training(3, 0.3, Order::Shuffled);
    let mut tell = |progress: Progress| {
        match progress {
            Progress::Minibatches(more) => minibatches += more,
            Progress::Epoch(state) => epochs.push(state.epoch),
        }
        Ok(())
    };
    let history = reproduction::train::fit(&network(), &splits(), &training, 1, State::new(&training), &mut tell).expect("finite");
    assert_eq!((minibatches, epochs), (9, vec![1, 2, 3]));
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

    fn gradients(&self, images: &Tensor, labels: &Tensor, mode: Mode, loss_scale: f64) -> (Tensor, Vec<Gradient>) {
        self.modes.borrow_mut().push(mode);
        self.network.gradients(images, labels, mode, loss_scale)
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

#[test]
fn a_loss_that_is_not_finite_stops_with_epoch_minibatch_and_rate() {
    let error = fit(&network(), &splits(), &training(2, 1e30, Order::Shuffled), 1).expect_err("diverges").to_string();
    assert!(error.contains("epoch 1, minibatch 2 of 3") || error.contains("epoch 1, minibatch 3 of 3"), "{error}");
    assert!(error.contains("learning rate 1000000000000000000000000000000"), "{error}");
}

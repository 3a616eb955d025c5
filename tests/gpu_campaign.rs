//! The campaign of benches/gpu: packed, rehearsed on the CPU with the examples as cargo has built them, brought home and drawn there; and its
//! two programs, in small.

#![cfg(target_os = "linux")]
#![allow(clippy::duplicate_mod, reason = "the two programs share a module, and each stands alone")]

mod common;
#[path = "../benches/gpu/gpu_bench.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod gpu_bench;
#[path = "../benches/gpu/gpu_check.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod gpu_check;

use common::{Scratch, example, few_digits};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tch::{Kind, Tensor};

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

#[test]
fn the_cpu_agrees_with_itself() {
    gpu_check::run(words("gpu_check --device cpu --network mlp --network residual --network group-norm --images 4")).expect("agrees");
}

#[test]
fn the_benchmark_runs_in_small() {
    for flags in ["", " --profile"] {
        gpu_bench::run(words(&format!("gpu_bench --device cpu --network mlp --images 140 --steps 1{flags}"))).expect("runs");
    }
}

#[test]
fn a_gpu_that_is_asked_for_is_no_quiet_run_on_the_cpu() {
    // Whatever this machine has, it has no thousandth GPU.
    for error in [gpu_check::run(words("gpu_check --device cuda:999")), gpu_bench::run(words("gpu_bench --device cuda:999"))] {
        assert!(error.expect_err("none").to_string().contains("cuda:999"));
    }
}

#[test]
fn a_difference_beyond_the_bound_is_named() {
    let tensors = |values: [f64; 3]| {
        let of = |name: &str, value: f64| (name.to_owned(), Tensor::from_slice(&[value, 1.0]).to_kind(Kind::Double));
        vec![of("loss", values[0]), of("gradient of a", values[1]), of("gradient of b", values[2])]
    };
    let failures = |found: [f64; 3]| {
        let (mut failures, worst) = (Vec::new(), gpu_check::worst(&tensors([1.0, 1.0, 1.0]), &tensors(found)).expect("alike"));
        gpu_check::report("test", &worst, Some(1e-4), &mut failures);
        failures
    };
    assert!(failures([1.0, 1.0, 1.00001]).is_empty());
    let found = failures([1.0, 1.0, 1.01]);
    assert!(found.len() == 1 && found[0].contains("gradient of b: 7.1e-3"), "{found:?}");
    assert!(failures([f64::NAN, 1.0, 1.0])[0].contains("loss"), "what is no number is beyond every bound");
    assert!(gpu_check::worst(&tensors([1.0; 3]), &tensors([1.0; 3])[..2]).is_err(), "nothing is left out");
    // A gradient that is nothing but rounding is measured against all of them.
    let mut rounding = tensors([1.0; 3]);
    rounding.push(("gradient of c".to_owned(), Tensor::from_slice(&[1e-9, 0.0])));
    let mut other = tensors([1.0; 3]);
    other.push(("gradient of c".to_owned(), Tensor::from_slice(&[-1e-9, 0.0])));
    let worst = gpu_check::worst(&rounding, &other).expect("alike");
    assert!(worst.iter().all(|(_, difference, _)| *difference < 1e-8), "{worst:?}");
}

#[test]
fn the_page_names_every_step() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("readable");
    let (campaign, page) = (read("benches/gpu/campaign"), read("docs/gpu.md"));
    let order = campaign.split("# ---- the order").nth(1).expect("the order");
    // "step NAME LEAST MOST COMMAND"
    let steps = order.split(" step ").flat_map(|part| part.split("\nstep ")).skip(1).filter_map(|rest| rest.split_whitespace().next());
    let mut count = 0;
    for step in steps {
        assert!(page.contains(&format!("| `{step}`")), "docs/gpu.md does not name {step}");
        count += 1;
    }
    assert!(count > 10, "{count} steps were found");
}

/// No test, but the two programs in the rehearsal's one program of all: this one starts itself with these variables.
#[test]
#[ignore = "a program, started by the rehearsal below"]
fn program() {
    let (name, arguments) = (std::env::var("PROGRAM").unwrap_or_default(), std::env::var("ARGUMENTS").unwrap_or_default());
    let line = words(&format!("{name} {arguments}"));
    let result = if name == "gpu_bench" { gpu_bench::run(line) } else { gpu_check::run(line) };
    std::process::exit(result.map_or(1, |()| 0));
}

/// What stands in for the program that `pack` builds. The example in FAIL fails; that in STOP halts in training and has its time end
/// there.
const PROGRAM: &str = r#"#!/usr/bin/env bash
name=${0##*/}
echo "of commit $REPRODUCTION_COMMIT"
if [ "$name" = "${FAIL:-}" ]; then echo "fails as it should"; exit 3; fi
case $name in gpu_*) PROGRAM=$name ARGUMENTS="$*" exec "@TEST@" --exact program --ignored --nocapture ;; esac
[ "$name" = "${STOP:-}" ] || exec "@EXAMPLES@/$name" "$@"
trap : TERM
"@EXAMPLES@/$name" "$@" & child=$!
until ls "$work/runs/$name"/*/lock >/dev/null 2>&1; do sleep 0.05; done
kill -STOP $child
# As if its time were over: the group is that of `timeout`.
kill -ALRM "$(cut -d ' ' -f 5 /proc/$$/stat)"
wait $child
wait $child
"#;

/// A checkout with what the campaign needs of the project, and small data.
struct Project {
    scratch: Scratch,
    home: PathBuf,
}

impl Project {
    /// None where a tool is missing.
    #[expect(clippy::print_stderr, reason = "the output of a test")]
    fn new() -> Option<Project> {
        for (tool, flag) in [("python3", "--version"), ("xz", "--version"), ("git", "--version"), ("bash", "--version")] {
            if Command::new(tool).arg(flag).output().is_err() {
                eprintln!("skipped: {tool} is not installed");
                return None;
            }
        }
        let scratch = Scratch::new();
        let home = scratch.path("home");
        for folder in ["plots", "weights"] {
            fs::create_dir_all(home.join(folder)).expect("made");
            fs::write(home.join(folder).join("committed.csv"), "committed").expect("written");
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        run(Command::new("cp")
            .arg("-r")
            .args(["benches", "experiments", "Cargo.toml", ".gitignore"].map(|name| root.join(name)))
            .arg(&home));
        let git =
            |words: &[&str]| run(Command::new("git").arg("-C").arg(&home).args(["-c", "user.name=a", "-c", "user.email=b"]).args(words));
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "all"]);

        let photographs = scratch.path("photographs");
        for folder in ["trainset/Cat", "trainset/Dog", "testset/test"] {
            fs::create_dir_all(photographs.join(folder)).expect("made");
        }
        let photograph = |name: String, shade: u8| {
            let pixel = |x: u32, y: u32| image::Rgb([shade.wrapping_mul(x as u8), shade.wrapping_add(y as u8), shade]);
            image::RgbImage::from_fn(64, 64, pixel).save(photographs.join(name)).expect("written");
        };
        for number in 1..=10 {
            photograph(format!("trainset/Cat/{number}.Cat.jpg"), number);
            photograph(format!("trainset/Dog/{number}.Dog.jpg"), 200 - number);
            photograph(format!("testset/test/{number}.jpg"), 100 + number);
        }
        // Enough to be packed.
        let digits = scratch.path("digits");
        fs::create_dir(&digits).expect("made");
        for name in ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"] {
            fs::write(digits.join(format!("{name}-ubyte")), name).expect("written");
        }
        Some(Project { scratch, home })
    }

    /// A script of benches/gpu, as a user of this checkout calls it.
    fn script(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(if name == "unpack" { "python3" } else { "bash" });
        command.arg(self.home.join("benches/gpu").join(name)).args(words).current_dir(&self.home);
        command.env("MNIST_DIR", self.scratch.path("digits")).env("CATS_DOGS", self.scratch.path("photographs"));
        command
    }

    /// `pack` with `program` in place of one that it would build.
    fn pack(&self, program: &str, words: &[&str]) -> Command {
        let path = self.scratch.path("program");
        fs::write(&path, program).expect("written");
        let mut command = self.script("pack", &["--program"]);
        command.arg(path).args(words);
        command
    }

    fn status(&self) -> String {
        said(&run(Command::new("git").arg("-C").arg(&self.home).args(["status", "--porcelain"])))
    }
}

/// Both streams.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

fn fails(command: &mut Command) -> String {
    let output = command.output().expect("runs");
    assert!(!output.status.success(), "{command:?}: {}", said(&output));
    said(&output)
}

#[test]
fn packing_says_what_is_missing_and_what_is_too_much() {
    let Some(project) = Project::new() else { return };
    let missing = fails(project.script("pack", &[]).env_remove("MNIST_DIR"));
    assert!(missing.contains("data/mnist") && missing.contains("set MNIST_DIR"), "{missing}");
    let missing = fails(project.script("pack", &[]).env("CATS_DOGS", "/nowhere"));
    assert!(missing.contains("/nowhere") && missing.contains("set CATS_DOGS"), "{missing}");
    let empty = fails(project.pack("", &[]).env("CATS_DOGS", project.home.join("plots")));
    assert!(empty.contains("holds no images"), "{empty}");
    let large = fails(project.pack("", &["--tree"]).env("GPU_LIMIT_MIB", "0"));
    assert!(large.contains("more than the 0 MiB") && large.contains("reported"), "{large}");
    assert_eq!(project.status(), "", "plots/ is where it was");
}

#[test]
fn results_and_weights_are_set_aside_last_and_put_back() {
    let Some(project) = Project::new() else { return };
    // What packs the program waits for it forever.
    let pipe = project.scratch.path("pipe");
    run(Command::new("mkfifo").arg(&pipe));
    let mut pack = project.script("pack", &["--tree", "--program"]);
    let mut pack = pack.arg(&pipe).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().expect("runs");
    while !project.home.join(".gpu/repro.xz.new").exists() {
        assert!(pack.try_wait().expect("a child").is_none(), "it waits");
        std::thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: kill only sends a signal, here to the group of a child that was not yet waited for.
    assert_eq!(unsafe { libc::kill(-(pack.id() as i32), libc::SIGTERM) }, 0);
    assert!(!pack.wait().expect("ends").success());
    assert_eq!(project.status(), "", "an interrupted packing leaves the tree as it was");

    let told = said(&run(&mut project.pack("program", &["--tree"])));
    assert!(told.contains("set aside") && ["plots", "weights"].iter().all(|folder| !project.home.join(folder).exists()), "{told}");
    run(&mut project.pack("program", &["--tree"]));
    // Something has written there meanwhile.
    fs::create_dir(project.home.join("plots")).expect("made");
    fs::write(project.home.join("plots/new.csv"), "new").expect("written");
    let both = fails(&mut project.script("unpack", &[]));
    assert!(both.contains("plots.kept") && project.home.join("plots/new.csv").exists(), "{both}");
    fs::remove_file(project.home.join("plots/new.csv")).expect("removed");
    run(&mut project.script("unpack", &[]));
    assert_eq!(project.status(), "");
}

#[test]
fn rehearsed_from_packing_to_drawing_at_home() {
    let Some(project) = Project::new() else { return };
    let (machine, out, work) = (project.scratch.path("machine"), project.scratch.path("out"), project.scratch.path("work"));
    let test = std::env::current_exe().expect("the test's own path");
    let examples = test.parent().and_then(Path::parent).expect("target/<profile>/deps").join("examples");
    assert!(examples.join("fig9_cnn").exists(), "`cargo test` without --test builds the examples");
    let program = PROGRAM.replace("@TEST@", &test.to_string_lossy()).replace("@EXAMPLES@", &examples.to_string_lossy());
    run(project.pack(&program, &[]).env("MNIST_DIR", few_digits()));
    assert_eq!(project.status(), "", "what is packed is ignored by git");
    fs::rename(project.home.join(".gpu"), &machine).expect("carried");
    let commit = fs::read_to_string(machine.join("commit")).expect("a commit").trim().to_owned();

    // PyTorch need not be here to see that its script finds what it takes from benches/.
    let stubs = "import runpy, sys, unittest.mock as m\n\
        for n in ['torch', 'torch.nn', 'torch.nn.functional', 'torch.utils', 'torch.utils.data', 'torchvision', 'numpy', 'PIL']:\n    \
            sys.modules[n] = m.MagicMock()\n\
        g = runpy.run_path('benches/gpu/peer.py', run_name='x')\n\
        print(g['peer'].mnist, g['peer_vgg'].vgg)";
    run(Command::new("python3").args(["-c", stubs]).current_dir(&machine));

    let campaign = |words: [&str; 2], steps: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new("bash");
        command
            .arg(machine.join("campaign"))
            .args(words)
            .env("DRY", "1")
            .env("SMALL", "--epochs 2 --limit 64 --seeds 1")
            .env("STEPS", steps);
        command.env("OUT", &out).env("WORK", &work).env("LIBTORCH_LIB", env!("LIBTORCH_LIB")).envs(variables.iter().copied());
        command.env_remove("MNIST_DIR").env_remove("CATS_DOGS");
        said(&run(&mut command))
    };
    // The line of a step in the table that ends what it says.
    let row = |said: &str, step: &str| said.lines().rev().find(|line| line.starts_with(step)).unwrap_or_default().to_owned();

    // A failed step holds up no other.
    let first = campaign(["A", "540"], "doctor fig1_init equal", &[("FAIL", "doctor")]);
    assert!(row(&first, "doctor").contains("failed (3)") && row(&first, "doctor").contains("fails as it should"), "{first}");
    assert!(row(&first, "fig1_init").contains("done") && row(&first, "equal").contains("all within their bounds"), "{first}");
    let last = first.lines().last().unwrap_or_default();
    assert_eq!(last, "part A: 2 of 3 steps done; failed: doctor; stopped, to go on: none; not begun: none", "{first}");

    // Out of time: one step is stopped in training, and one has too little time left to begin.
    let second = campaign(["A", "59"], "fig1_init kaggle_vgg fig9_cnn", &[("STOP", "fig9_cnn")]);
    assert!(row(&second, "kaggle_vgg").contains("not begun"), "{second}");
    assert!(row(&second, "fig9_cnn").contains("stopped"), "{second}");
    assert!(second.ends_with("part A: 1 of 3 steps done; failed: none; stopped, to go on: fig9_cnn; not begun: kaggle_vgg\n"), "{second}");
    let checkpoints = fs::read_dir(work.join("runs/fig9_cnn")).expect("listed").flatten();
    assert!(checkpoints.into_iter().any(|trial| trial.path().join("checkpoints").exists()), "where it stood is kept");

    // The next part goes on from there.
    let third = campaign(["B", "300"], "doctor fig1_init kaggle_vgg fig9_cnn", &[]);
    assert!(third.ends_with("part B: 4 of 4 steps done; failed: none; stopped, to go on: none; not begun: none\n"), "{third}");
    let log = |step: &str| fs::read_to_string(work.join("log").join(step)).expect("a log");
    assert!(log("fig9_cnn").contains("going on"), "{}", log("fig9_cnn"));
    assert!(log("doctor").contains(&format!("of commit {commit}")), "the commit's name goes along");

    // Home, in parts.
    let whole = fs::read(out.join("results.tgz")).expect("results");
    let parts = project.scratch.path("parts");
    fs::create_dir(&parts).expect("made");
    for (name, part) in ["aa", "ab"].into_iter().zip(whole.chunks(whole.len().div_ceil(2))) {
        fs::write(parts.join(format!("results.tgz.{name}")), part).expect("written");
    }
    let unpack = |words: &[&str]| project.script("unpack", &[&[parts.to_str().expect("a path")], words].concat());
    let table = said(&run(&mut unpack(&[])));
    assert!(table.contains("part B: 4 of 4 steps done"), "{table}");
    let provenance =
        fs::read_dir(project.home.join("runs/fig1_init")).expect("listed").flatten().map(|trial| trial.path().join("provenance.toml"));
    let provenance = provenance.into_iter().find_map(|path| fs::read_to_string(path).ok()).expect("a trial");
    assert!(provenance.contains(&format!("commit = \"{commit}\"")), "{provenance}");
    let plots = project.home.join("plots");
    let picture = fs::read(plots.join("fig1_init.png")).expect("a picture");
    assert!(picture.windows(commit.len()).any(|window| window == commit.as_bytes()), "the picture names the commit");
    assert!(plots.join("committed.csv").exists() && project.home.join(format!("runs/gpu/{commit}/fig9_cnn")).exists());
    for name in ["fig1_init", "fig9_cnn", "kaggle_vgg"] {
        fs::remove_file(plots.join(format!("{name}.png"))).expect("the picture came, too");
        run(example(name).arg("--redraw").arg("--out").arg(&plots).arg("--runs").arg(project.home.join("runs")));
        assert!(plots.join(format!("{name}.png")).exists());
    }

    // Again, nothing is lost: not what is newer, nor a network.
    let csv = plots.join("fig1_init.csv");
    fs::write(&csv, "newer").expect("written");
    let trial =
        fs::read_dir(project.home.join("runs/fig9_cnn")).expect("listed").flatten().find(|entry| entry.path().join("history.csv").exists());
    let trial = trial.expect("a trial").path();
    fs::write(trial.join("parameters.safetensors"), "a network").expect("written");
    fs::write(trial.join("history.csv"), "another").expect("written");
    let refused = fails(&mut unpack(&[]));
    assert!(refused.contains("fig1_init.csv is newer") && refused.contains("has its network") && refused.contains("--force"), "{refused}");
    assert_eq!(fs::read_to_string(&csv).expect("there"), "newer", "nothing was changed");
    run(&mut unpack(&["--force"]));
    assert_ne!(fs::read_to_string(&csv).expect("there"), "newer");
    assert!(!trial.join("parameters.safetensors").exists() && trial.join("history.csv").exists(), "a trial is replaced as a whole");
    fs::write(parts.join("results.tgz.ab"), "cut").expect("written");
    assert!(fails(&mut unpack(&[])).contains("cannot be read"));
}

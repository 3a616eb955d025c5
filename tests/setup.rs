//! `./setup`, without a network: a copy of it in a folder of its own, with nothing on its PATH but the system's small tools and
//! stand-ins for cargo, the C++ compiler, python3 and the like.
#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What the script needs of any system.
const TOOLS: [&str; 22] = [
    "awk", "bash", "cat", "cut", "df", "dirname", "du", "env", "grep", "head", "ln", "mkdir", "mv", "ps", "readlink", "rm", "sed", "sh",
    "sleep", "tail", "touch", "tr",
];

/// Installs an empty torch into --target, and what else is asked for. In the home folder, the file `fail` makes it fail, `hold` makes the
/// first one wait, `version` and `without` tell what is installed in another way; `environment` and `folder` tell of its last call.
const PYTHON: &str = r#"
case "$1 $2 $3 $4" in
  "-m pip config list") if [ -e "$HOME/pip.conf" ]; then cat "$HOME/pip.conf"; fi; exit 0 ;;
  "-m pip install "*) ;;
  *) exit 0 ;;
esac
echo "$*" >>"$HOME/calls"
env | grep -E '^(PIP|UV)_' >"$HOME/environment"
for word; do if [ "$previous" = --target ]; then target=$word; fi; previous=$word; done
mkdir -p "$target/torch/include" "$target/torch/lib"
if [ -e "$HOME/fail" ]; then echo "ERROR: no route to host"; exit 1; fi
if [ -e "$HOME/hold" ] && mkdir "$HOME/held" 2>/dev/null; then while [ -e "$HOME/hold" ]; do sleep 0.05; done; fi
version=2.11.0+cu130
if [ -e "$HOME/version" ]; then version=$(cat "$HOME/version"); fi
echo "__version__ = '$version'" >"$target/torch/version.py"
touch "$target/torch/lib/libtorch_cpu.so" "$target/torch/lib/libtorch_cuda.so"
for word; do case $word in *==*) mkdir -p "$target/$(echo "${word%%==*}" | tr - _)-${word##*==}.dist-info" ;; esac; done
if [ -e "$HOME/without" ]; then rm -r "$target/"$(cat "$HOME/without"); fi
"#;

/// The same as uv: called with another folder first.
fn uv() -> String {
    format!("echo \"$1 $2\" >$HOME/folder; shift 2; set -- -m \"$@\"\n{PYTHON}")
}

struct Checkout {
    root: tempfile::TempDir,
    /// Where the script lies.
    folder: PathBuf,
}

impl Checkout {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let checkout = Self { folder: root.path().join("checkout"), root };
        fs::create_dir_all(checkout.path("bin")).unwrap();
        fs::create_dir_all(&checkout.folder).unwrap();
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("setup"), checkout.at("setup")).expect("the script");
        fs::write(checkout.at("Cargo.toml"), "[package]\nrust-version = \"1.88\"\n").unwrap();
        let path = std::env::var_os("PATH").expect("PATH");
        for tool in TOOLS {
            // Slim systems lack ps; the script does without where there is /proc.
            if let Some(file) = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file()) {
                symlink(file, checkout.path("bin").join(tool)).unwrap();
            }
        }
        checkout.tool("cargo", "echo 'cargo 1.95.0 (f2d3ce0bd 2026-03-21)'");
        checkout.tool("c++", "exit 0");
        checkout.tool("uname", "case $1 in -s) echo ${SYSTEM:-Linux} ;; *) echo ${MACHINE:-x86_64} ;; esac");
        checkout.tool("getconf", "echo \"${LIBC-glibc 2.36}\"");
        checkout.tool("python3", PYTHON);
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A path in the checkout itself.
    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts a shell script on the PATH. Its home is the folder that holds everything.
    fn tool(&self, name: &str, script: &str) {
        // A new file renamed into place, never one written to by its name: that may be a link to the system's own tool.
        let new = self.path("bin").join(format!("{name}.new"));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&new).unwrap();
        writeln!(file, "#!/bin/sh\n{script}").unwrap();
        drop(file);
        fs::rename(new, self.path("bin").join(name)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.at("setup"));
        // Another working directory than the checkout: the script has to find its own.
        command.args(arguments).env_clear().env("PATH", self.path("bin")).env("HOME", self.root.path()).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        output(&mut self.command(arguments))
    }

    /// Runs with success, and gives what was said.
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs to the end, has to fail, and gives the error's text.
    fn error(&self, command: &mut Command) -> String {
        let output = output(command);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Starts a run and waits until its pip is at work and hangs.
    fn start_and_hang(&self, arguments: &[&str]) -> Child {
        fs::write(self.path("hold"), "").unwrap();
        let mut command = self.command(arguments);
        let child = once_closed(|| command.spawn());
        wait_until("pip hangs", || self.path("held").exists());
        child
    }

    /// The calls of pip, one a line.
    fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.path("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// What is in libtorch/, as its mark tells.
    fn installed(&self) -> Option<String> {
        fs::read_to_string(self.at("libtorch/setup-complete")).ok().map(|text| text.trim().to_owned())
    }

    fn staging(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("libtorch.partial")).collect()
    }

    fn assert_tidy(&self) {
        assert_eq!(self.staging(), Vec::<PathBuf>::new());
        assert!(!self.at(".cargo/setup.lock").is_symlink());
    }
}

/// Starts a script that this test has just written. Another test that starts a program at that moment has inherited the file open for
/// writing, until it is that program.
fn once_closed<T>(mut start: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match start() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::sleep(Duration::from_millis(5)),
            started => return started.expect("setup starts"),
        }
    }
}

fn output(command: &mut Command) -> Output {
    once_closed(|| command.output())
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_running(process: &str) -> bool {
    // A process that has ended and is not yet waited for does not count.
    let state = Command::new("ps").args(["-o", "stat=", "-p", process]).output();
    match state {
        Ok(output) => output.status.success() && !String::from_utf8_lossy(&output.stdout).starts_with('Z'),
        Err(_) => fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|text| !text.contains(") Z")),
    }
}

fn signal(name: &str, process: u32) {
    // The shell's own `kill`: slim systems have no other.
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(status.success());
}

/// The id of a process that has ended.
fn dead_process() -> u32 {
    let mut child = Command::new("sh").args(["-c", "exit 0"]).spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn installs_once_and_then_has_nothing_to_do() {
    let checkout = Checkout::new();
    checkout.succeed(&["--cpu"]);
    assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cpu"));
    let config = fs::read_to_string(checkout.at(".cargo/config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    assert_eq!(config["env"]["LIBTORCH"]["value"].as_str(), Some("libtorch/torch"));
    assert_eq!(config["env"]["LIBTORCH"]["relative"].as_bool(), Some(true));
    assert!(config["env"]["GOMP_SPINCOUNT"].is_str(), "{config}");
    // What an earlier ./setup wrote, and a line of the user.
    let whole = fs::read_to_string(checkout.at(".cargo/config.toml")).unwrap();
    let added = format!("{whole}[build]\njobs = 1\n");
    let earlier: Vec<&str> = added.lines().filter(|line| !line.contains("GOMP")).collect();
    for text in [&added, &(earlier.join("\n") + "\n")] {
        fs::write(checkout.at(".cargo/config.toml"), text).unwrap();
        checkout.succeed(&["--cpu"]);
        assert_eq!(fs::read_to_string(checkout.at(".cargo/config.toml")).unwrap(), added);
    }
    let calls = checkout.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].contains(" torch==2.11.0 nvidia-cuda-runtime==") && calls[0].contains(" --no-deps "), "{calls:?}");
    assert!(!calls[0].contains("cudnn"), "{calls:?}");
    checkout.assert_tidy();

    fs::remove_file(checkout.path("bin/python3")).unwrap();
    let said = checkout.succeed(&["--cpu"]);
    assert!(said.contains("nothing to fetch"), "{said}");
    checkout.assert_tidy();
}

#[test]
fn a_folder_with_its_mark_but_without_its_library_is_made_again() {
    let checkout = Checkout::new();
    checkout.succeed(&["--cpu"]);
    fs::remove_file(checkout.at("libtorch/torch/lib/libtorch_cpu.so")).unwrap();
    checkout.succeed(&["--cpu"]);
    fs::write(checkout.at("libtorch/setup-complete"), "2.10.0 cpu\n").unwrap();
    checkout.succeed(&["--cpu"]);
    assert_eq!((checkout.calls().len(), checkout.installed().as_deref()), (3, Some("2.11.0 cpu")));
}

#[test]
fn killed_hard_it_is_put_right_by_the_next_run() {
    let checkout = Checkout::new();
    let mut killed = checkout.start_and_hang(&["--cpu"]);
    let staging = checkout.staging();
    assert_eq!(staging.len(), 1);
    let pip = fs::read_to_string(staging[0].join("child")).unwrap().trim().to_owned();
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(checkout.installed().is_none() && is_running(&pip), "pip goes on alone");

    // `hold` still holds the first pip; the next run's does not wait.
    checkout.succeed(&["--cpu"]);
    assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cpu"));
    wait_until("the forsaken pip has ended", || !is_running(&pip));
    checkout.succeed(&["--cpu"]);
    checkout.assert_tidy();
    assert_eq!(checkout.calls().len(), 2);
}

#[test]
fn terminated_it_leaves_nothing() {
    let checkout = Checkout::new();
    let mut child = checkout.start_and_hang(&["--cpu"]);
    let pip = fs::read_to_string(checkout.staging()[0].join("child")).unwrap().trim().to_owned();
    signal("TERM", child.id());
    wait_until("setup has ended", || !is_running(&child.id().to_string()));
    assert_eq!(child.wait().unwrap().code(), Some(143));
    checkout.assert_tidy();
    assert!(!is_running(&pip) && checkout.installed().is_none());
}

#[test]
fn killed_between_its_two_renames_it_is_put_right_without_fetching() {
    let checkout = Checkout::new();
    checkout.succeed(&["--cpu"]);
    // What such a kill leaves: the old folder moved away, the new one complete and not yet in place.
    let staging = checkout.at(&format!("libtorch.partial.{}", dead_process()));
    fs::create_dir(&staging).unwrap();
    fs::rename(checkout.at("libtorch"), staging.join("new")).unwrap();
    fs::write(staging.join("new/setup-complete"), "2.11.0 cuda\n").unwrap();
    fs::create_dir(staging.join("old")).unwrap();

    checkout.succeed(&[]);
    assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cuda"));
    assert_eq!(checkout.calls().len(), 1);
    checkout.assert_tidy();
}

#[test]
fn an_unfinished_folder_is_not_taken_for_a_finished_one() {
    let checkout = Checkout::new();
    let staging = checkout.at(&format!("libtorch.partial.{}", dead_process()));
    fs::create_dir_all(staging.join("new/torch/lib")).unwrap();
    fs::write(staging.join("new/torch/lib/libtorch_cpu.so"), "half of it").unwrap();
    checkout.succeed(&["--cpu"]);
    assert_eq!(checkout.calls().len(), 1);
    checkout.assert_tidy();
}

#[test]
fn two_runs_at_once_fetch_once() {
    let checkout = Checkout::new();
    let mut first = checkout.start_and_hang(&["--cpu"]);
    let mut second = checkout.command(&["--cpu"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(second.try_wait().unwrap(), None, "the second run waits");
    assert_eq!(checkout.staging().len(), 1, "the first run's folder is left alone, the second has none");
    fs::remove_file(checkout.path("hold")).unwrap();
    assert!(first.wait().unwrap().success());
    let second = second.wait_with_output().unwrap();
    assert!(second.status.success(), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stdout).contains("another ./setup"), "{second:?}");
    assert_eq!((checkout.calls().len(), checkout.installed().as_deref()), (1, Some("2.11.0 cpu")));
    checkout.assert_tidy();
}

#[test]
fn a_run_with_nothing_to_do_leaves_another_one_alone() {
    let checkout = Checkout::new();
    checkout.succeed(&["--cpu"]);
    let mut other = checkout.start_and_hang(&["--cuda"]);
    checkout.succeed(&["--cpu"]);
    assert_eq!(checkout.staging().len(), 1);
    fs::remove_file(checkout.path("hold")).unwrap();
    assert!(other.wait().unwrap().success());
    assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cuda"));
    checkout.assert_tidy();
}

#[test]
fn cuda_replaces_cpu_and_stays() {
    let checkout = Checkout::new();
    checkout.succeed(&["--cpu"]);
    fs::write(checkout.path("fail"), "").unwrap();
    checkout.error(&mut checkout.command(&["--cuda"]));
    assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cpu"), "a failed change leaves what was there");
    checkout.assert_tidy();

    fs::remove_file(checkout.path("fail")).unwrap();
    checkout.succeed(&["--cuda"]);
    let calls = checkout.calls();
    assert!(calls.last().unwrap().contains(" nvidia-cudnn-cu13==") && calls.last().unwrap().contains(" torch==2.11.0"), "{calls:?}");
    assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cuda"));
    checkout.succeed(&["--cpu"]);
    checkout.succeed(&[]);
    assert_eq!((checkout.calls().len(), checkout.installed().as_deref()), (3, Some("2.11.0 cuda")));
    checkout.assert_tidy();
}

#[test]
fn an_nvidia_driver_makes_cuda_the_default_and_only_for_the_first_time() {
    let checkout = Checkout::new();
    checkout.tool("nvidia-smi", "exit 0");
    checkout.succeed(&["--cpu"]);
    let said = checkout.succeed(&[]);
    assert!(said.contains("./setup --cuda"), "{said}");
    assert_eq!(checkout.calls().len(), 1, "nothing is fetched that was not asked for");
    fs::remove_dir_all(checkout.at("libtorch")).unwrap();
    checkout.succeed(&[]);
    assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cuda"));
}

#[test]
fn a_failing_pip_is_reported_and_leaves_nothing() {
    let checkout = Checkout::new();
    fs::write(checkout.path("fail"), "").unwrap();
    let said = checkout.error(&mut checkout.command(&["--cpu"]));
    assert!(said.contains("no route to host") && said.contains("nothing was installed") && said.contains("PIP_INDEX_URL"), "{said}");
    assert!(!checkout.at("libtorch").exists() && !checkout.at(".cargo/config.toml").exists());
    checkout.assert_tidy();
}

#[test]
fn uv_comes_first_and_pip_stands_in() {
    let checkout = Checkout::new();
    checkout.tool("uv", "echo uv >>$HOME/calls; exit 1");
    checkout.succeed(&["--cpu"]);
    assert_eq!(checkout.calls()[0], "uv");
    assert_eq!((checkout.calls().len(), checkout.installed().as_deref()), (2, Some("2.11.0 cpu")));

    // And the other way: without python3, uv alone will do.
    let checkout = Checkout::new();
    checkout.tool("uv", &uv());
    fs::remove_file(checkout.path("bin/python3")).unwrap();
    checkout.succeed(&["--cpu"]);
    assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cpu"));
}

#[test]
fn what_was_really_installed_decides() {
    // A setting or an index has put something else there than was asked for.
    for (version, without, arguments, expected) in [
        ("2.5.1+cu124", "", ["--cpu"], "it is 2.5.1+cu124; 2.11.0 is needed"),
        ("2.11.01", "", ["--cpu"], "2.11.01"),
        ("2.11.0+cpu", "torch/lib/libtorch_cuda.so", ["--cuda"], "built without CUDA"),
        ("2.11.0+cu126", "", ["--cuda"], "2.11.0+cu126; the build for the CPU or for CUDA 13"),
        ("2.11.0+rocm6.4", "", ["--cpu"], "2.11.0+rocm6.4"),
        ("2.11.0+cu130", "nvidia_cudnn_cu13-9.19.0.56.dist-info", ["--cuda"], "nvidia-cudnn-cu13"),
        ("2.11.0+cu130", "torch/version.py", ["--cpu"], "does not say its version"),
        ("2.11.0+cu130", "torch/include", ["--cpu"], "include/"),
    ] {
        let checkout = Checkout::new();
        checkout.tool("uv", &uv());
        fs::write(checkout.path("version"), version).unwrap();
        if !without.is_empty() {
            fs::write(checkout.path("without"), without).unwrap();
        }
        let said = checkout.error(&mut checkout.command(&arguments));
        assert!(said.contains(expected) && said.contains("UV_DEFAULT_INDEX") && said.contains("PIP_INDEX_URL"), "{expected}: {said}");
        assert!(!checkout.at("libtorch").exists() && !checkout.at(".cargo/config.toml").exists());
        assert_eq!(checkout.calls().len(), 2, "what uv gets wrong, pip may get right");
        checkout.assert_tidy();

        if expected == "built without CUDA" {
            checkout.succeed(&["--cpu"]);
            assert_eq!(checkout.installed().as_deref(), Some("2.11.0 cpu"));
        }
    }
}

#[test]
fn pip_is_tried_where_uv_installs_something_else() {
    let checkout = Checkout::new();
    checkout.tool("uv", &format!("{}\necho \"__version__ = '2.5.1'\" >$target/torch/version.py", uv()));
    let said = checkout.succeed(&["--cpu"]);
    assert!(said.contains("2.5.1") && said.contains("pip is tried"), "{said}");
    assert_eq!((checkout.calls().len(), checkout.installed().as_deref()), (2, Some("2.11.0 cpu")));
}

#[test]
fn a_mark_that_is_not_true_is_not_believed() {
    let checkout = Checkout::new();
    checkout.succeed(&["--cuda"]);
    fs::write(checkout.at("libtorch/torch/version.py"), "__version__ = '2.5.1'\n").unwrap();
    checkout.succeed(&["--cuda"]);
    fs::remove_file(checkout.at("libtorch/torch/lib/libtorch_cuda.so")).unwrap();
    checkout.succeed(&["--cuda"]);
    assert_eq!(checkout.calls().len(), 3);
}

/// Settings of the user that tell how packages are reached stay; those on what is installed, and where, are for other projects.
#[test]
fn settings_for_pip_and_uv_change_only_how_packages_are_reached() {
    let kept = [
        ("PIP_INDEX_URL", "https://mirror/simple"),
        ("PIP_CERT", "/a b/ca.pem"),
        ("PIP_PROXY", "http://proxy:3128"),
        ("PIP_DEFAULT_TIMEOUT", "180"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("UV_DEFAULT_INDEX", "https://mirror/simple"),
        ("UV_INDEX_MIRROR_PASSWORD", "secret"),
        ("UV_HTTP_TIMEOUT", "90"),
        ("UV_CONFIG_FILE", "/uv.toml"),
    ];
    let dropped = [
        "PIP_CONSTRAINT",
        "PIP_BUILD_CONSTRAINT",
        "PIP_REQUIREMENT",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_TARGET",
        "PIP_USER",
        "PIP_DRY_RUN",
        "PIP_REQUIRE_HASHES",
        "PIP_NO_BINARY",
        "PIP_UPGRADE",
        "PIP_PLATFORM",
        "PIP_PYTHON",
        "UV_OVERRIDE",
        "UV_CONSTRAINT",
        "UV_REQUIRE_HASHES",
        "UV_SYSTEM_PYTHON",
        "UV_PRERELEASE",
        "UV_EXCLUDE_NEWER",
        "UV_TORCH_BACKEND",
        "UV_PROJECT",
        "UV_PYTHON",
    ];
    for has_uv in [false, true] {
        let checkout = Checkout::new();
        if has_uv {
            checkout.tool("uv", &uv());
        }
        let conf = "global.cert='/other'\nglobal.extra-index-url=\"\\nhttps://a/it's\\nhttps://b\"\nglobal.find-links='/general'\n\
                    install.find-links='/x /y'\ninstall.user='true'\ninstall.constraint='c.txt'\n";
        fs::write(checkout.path("pip.conf"), conf).unwrap();
        let mut command = checkout.command(&["--cpu"]);
        let output = command.envs(kept).envs(dropped.map(|name| (name, "1"))).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let environment = fs::read_to_string(checkout.path("environment")).unwrap();
        for (name, value) in kept {
            assert!(environment.lines().any(|line| line == format!("{name}={value}")), "{name}: {environment}");
        }
        for name in dropped {
            assert!(!environment.contains(&format!("{name}=")), "{name}: {environment}");
        }
        if has_uv {
            // uv reads settings in its folder and above.
            assert_eq!(fs::read_to_string(checkout.path("folder")).unwrap(), "--directory /\n");
        } else {
            // What pip's own files say is told it as well, and they are read by nobody else.
            for line in ["PIP_EXTRA_INDEX_URL= https://a/it's https://b", "PIP_FIND_LINKS=/x /y", "PIP_CONFIG_FILE=/dev/null"] {
                assert!(environment.lines().any(|found| found == line), "{line}: {environment}");
            }
        }
    }
}

#[test]
fn variables_that_lead_the_build_elsewhere_are_refused() {
    let checkout = Checkout::new();
    checkout.succeed(&["--cpu"]);
    let own = checkout.at("libtorch/torch");
    let own = own.to_str().unwrap();
    for (variables, refused) in [
        (vec![("LIBTORCH", "")], Some("LIBTORCH")),
        (vec![("LIBTORCH_USE_PYTORCH", "0")], Some("LIBTORCH_USE_PYTORCH")),
        (vec![("LIBTORCH_LIB", "/usr")], Some("LIBTORCH_LIB")),
        (vec![("LIBTORCH_INCLUDE", "")], Some("LIBTORCH_INCLUDE")),
        (vec![("LIBTORCH_STATIC", "1")], Some("LIBTORCH_STATIC")),
        (vec![("LIBTORCH_CXX11_ABI", "0")], Some("LIBTORCH_CXX11_ABI")),
        (vec![("LIBTORCH", own), ("LIBTORCH_LIB", "/usr")], Some("LIBTORCH_LIB")),
        (vec![("LIBTORCH", own), ("LIBTORCH_LIB", own), ("LIBTORCH_INCLUDE", own)], None),
        (vec![("LIBTORCH_STATIC", "0"), ("LIBTORCH_CXX11_ABI", "1"), ("LIBTORCH_BYPASS_VERSION_CHECK", "1")], None),
    ] {
        let mut command = checkout.command(&["--cpu"]);
        command.envs(variables.clone());
        match refused {
            Some(name) => {
                let said = checkout.error(&mut command);
                assert!(said.starts_with(&format!("setup: {name} is set")) && said.contains(&format!("unset {name};")), "{said}");
            }
            None => assert!(command.status().unwrap().success(), "{variables:?}"),
        }
    }

    // Cargo's own way to set them, in a folder above or at home.
    fs::create_dir(checkout.path(".cargo")).unwrap();
    fs::write(checkout.path(".cargo/config.toml"), "[build]\njobs = 1\n[env]\nLIBTORCH_LIB = \"/usr\"\n").unwrap();
    let said = checkout.error(&mut checkout.command(&["--cpu"]));
    assert!(said.contains(".cargo/config.toml sets LIBTORCH"), "{said}");
    fs::write(checkout.path(".cargo/config.toml"), "[build]\njobs = 1\n").unwrap();
    checkout.succeed(&["--cpu"]);
}

/// Under any path there is a working checkout or a refusal. Here only the script's own part: the names that are accepted were built with.
#[test]
fn a_path_that_cannot_be_built_in_is_refused_in_one_line() {
    use std::os::unix::ffi::OsStrExt;
    let run = |name: &[u8]| {
        let mut checkout = Checkout::new();
        let folder = checkout.root.path().join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir_all(folder.parent().unwrap()).ok()?;
        // File systems of Macs take UTF-8 only.
        fs::rename(checkout.path("checkout"), &folder).ok()?;
        checkout.folder = folder;
        let output = checkout.run(&["--cpu"]);
        assert_eq!(output.status.success(), checkout.installed().is_some(), "{output:?}");
        Some((output.status.success(), String::from_utf8(output.stderr).unwrap()))
    };
    for name in [
        "a b",
        "it's \"x\"",
        "a$HOME$$",
        "a#b",
        "a,b",
        "a\\b",
        "a;b&c|d",
        "*?[b]",
        "-a",
        "@a",
        "né",
        "日本😀",
        "~",
        "(a){b}",
        "a`b`",
        "a\tb",
    ] {
        let (works, said) = run(name.as_bytes()).expect("made");
        assert!(works && said.is_empty(), "{name}: {said}");
    }
    let refused: [(&[u8], &str); 7] = [
        (b"a:b", "':'"),
        (b"100%", "'%'"),
        (b"a\nb", "line break"),
        (b"$LIB", "loader"),
        (b"${ORIGIN}", "loader"),
        (b"a\xffb", "UTF-8"),
        (b"a\xc3/b", "UTF-8"),
    ];
    for (name, expected) in refused {
        let Some((works, said)) = run(name) else { continue };
        assert!(!works && said.lines().count() == 2 && said.lines().next().unwrap().contains(expected), "{name:?}: {said}");
    }
    let (works, said) = run(vec!["x".repeat(200); 19].join("/").as_bytes()).expect("made");
    assert!(!works && said.contains("3800") && said.lines().all(|line| line.len() < 600), "{said}");
}

#[test]
fn without_uv_and_pip_it_says_what_to_install() {
    let checkout = Checkout::new();
    checkout.tool("python3", "exit 1");
    let said = checkout.error(&mut checkout.command(&["--cpu"]));
    assert!(said.contains("neither is here") && said.contains("python3-pip"), "{said}");
    checkout.assert_tidy();
}

#[test]
fn a_libtorch_of_the_user_is_checked_and_used() {
    let checkout = Checkout::new();
    let own = checkout.path("own");
    let run = |arguments: &[&str], folder: &Path| {
        let mut command = checkout.command(arguments);
        command.env("LIBTORCH", folder);
        command
    };
    let said = checkout.error(&mut run(&[], &own));
    assert!(said.contains(own.to_str().unwrap()) && said.contains("include/ and lib/libtorch_cpu.so"), "{said}");
    assert!(checkout.error(&mut run(&[], Path::new("own"))).contains("relative"));

    fs::create_dir_all(own.join("include")).unwrap();
    fs::create_dir_all(own.join("lib")).unwrap();
    fs::write(own.join("lib/libtorch_cpu.so"), "").unwrap();
    assert!(checkout.error(&mut run(&[], &own)).contains("does not say its version"));
    for (file, text, accepted) in [
        ("version.py", "__version__ = '2.12.0+cu130'\n", false),
        ("version.py", "__version__ = '2.11.0+cu130'\n", true),
        ("build-version", "2.11.01+cpu\n", false),
        ("build-version", "2.11.0+cpu\n", true),
    ] {
        fs::write(own.join(file), text).unwrap();
        if accepted {
            let output = run(&[], &own).output().unwrap();
            assert!(output.status.success(), "{text}: {output:?}");
        } else {
            let said = checkout.error(&mut run(&[], &own));
            let found = text.trim().trim_start_matches("__version__ = ").trim_matches('\'');
            assert!(said.contains(found) && said.contains("2.11.0 is needed"), "{said}");
        }
    }
    assert!(checkout.error(&mut run(&["--cuda"], &own)).contains("built without CUDA"));
    assert!(checkout.calls().is_empty() && !checkout.at("libtorch").exists() && !checkout.at(".cargo").exists());
}

#[test]
fn a_configuration_of_the_user_is_left_as_it_is() {
    let checkout = Checkout::new();
    let file = checkout.at(".cargo/config.toml");
    fs::create_dir(checkout.at(".cargo")).unwrap();
    fs::write(&file, "[build]\njobs = 1\n").unwrap();
    let said = checkout.error(&mut checkout.command(&["--cpu"]));
    let lines = "[env]\n  LIBTORCH = { value = \"libtorch/torch\", relative = true }";
    assert!(said.contains(lines), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "[build]\njobs = 1\n");

    let mut added = fs::OpenOptions::new().append(true).open(&file).unwrap();
    writeln!(added, "{}", lines.replace("\n  ", "\n")).unwrap();
    checkout.succeed(&["--cpu"]);
    assert_eq!(checkout.calls().len(), 1);
}

#[test]
fn a_libtorch_folder_of_the_user_is_left_as_it_is() {
    let checkout = Checkout::new();
    fs::create_dir(checkout.at("libtorch")).unwrap();
    let said = checkout.error(&mut checkout.command(&["--cpu"]));
    assert!(said.contains("has not made") && said.contains("export LIBTORCH"), "{said}");
    assert!(checkout.at("libtorch").exists() && checkout.calls().is_empty());
}

#[test]
fn missing_tools_are_told_at_once_and_first() {
    let checkout = Checkout::new();
    fs::remove_file(checkout.path("bin/cargo")).unwrap();
    checkout.tool("c++", "exit 1");
    let said = checkout.error(&mut checkout.command(&["--cpu"]));
    assert!(said.contains("cargo") && said.contains("rustup") && said.contains("C++ compiler") && said.contains("g++"), "{said}");

    checkout.tool("c++", "exit 0");
    checkout.tool("cargo", "echo 'cargo 1.63.0'");
    let said = checkout.error(&mut checkout.command(&["--cpu"]));
    assert!(said.contains("cargo is 1.63; 1.88 or newer"), "{said}");

    checkout.tool("cargo", "echo 'cargo 1.88.0'");
    checkout.tool("df", "echo Filesystem; echo '/dev/x 1 1 1999999 1% /'");
    let said = checkout.error(&mut checkout.command(&["--cpu"]));
    assert!(said.contains("1 GB of free disk space") && said.contains("2 GB"), "{said}");
    assert!(checkout.calls().is_empty());
}

#[test]
fn what_is_not_supported_is_told() {
    let checkout = Checkout::new();
    checkout.tool("ldd", "echo 'musl libc (x86_64)' >&2; exit 1");
    checkout.tool("sysctl", "echo ${TRANSLATED:-0}");
    for (variables, arguments, expected) in [
        (vec![("SYSTEM", "MINGW64_NT-10.0-22631")], vec![], "WSL 2"),
        (vec![("SYSTEM", "FreeBSD")], vec![], "FreeBSD is not supported"),
        (vec![("MACHINE", "riscv64")], vec![], "riscv64"),
        (vec![("LIBC", "musl libc (x86_64)")], vec![], "glibc 2.28 or newer"),
        (vec![("LIBC", "glibc 2.27")], vec![], "glibc 2.27"),
        (vec![("SYSTEM", "Darwin")], vec![], "Intel Macs"),
        (vec![("SYSTEM", "Darwin"), ("TRANSLATED", "1")], vec![], "Rosetta"),
        (vec![("SYSTEM", "Darwin"), ("MACHINE", "arm64")], vec!["--cuda"], "no CUDA on macOS"),
        (vec![], vec!["--gpu"], "--help"),
    ] {
        let said = checkout.error(checkout.command(&arguments).envs(variables.clone()));
        assert!(said.contains(expected), "{variables:?}: {said}");
    }
    assert!(checkout.calls().is_empty());
    assert!(checkout.succeed(&["--help"]).contains("--cuda"));

    // And what is supported besides x86-64: Arm takes NVIDIA's two libraries as well, a Mac takes none.
    let output = checkout.command(&["--cpu"]).env("MACHINE", "aarch64").output().unwrap();
    assert!(output.status.success() && checkout.calls()[0].contains("nvidia-cuda-cupti"), "{output:?}");
    fs::remove_dir_all(checkout.at("libtorch")).unwrap();
    let output = checkout.command(&[]).envs([("SYSTEM", "Darwin"), ("MACHINE", "arm64")]).output().unwrap();
    assert!(output.status.success() && !checkout.calls()[1].contains("nvidia"), "{output:?}");
}

/// Git for Windows writes CRLF where nothing says otherwise, and that checkout may be used in WSL.
#[test]
fn the_script_has_its_line_ends_in_every_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments);
        command.current_dir(folder.path()).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_DIR");
        command.output().map(|output| assert!(output.status.success(), "{output:?}"))
    };
    if git(&["init", "-q", "one"]).is_err() {
        eprintln!("left out: there is no git here");
        return;
    }
    for file in ["setup", ".gitattributes"] {
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), folder.path().join("one").join(file)).expect(file);
    }
    for arguments in [&["-C", "one", "add", "."][..], &["-C", "one", "commit", "-qm", "all"], &["clone", "-q", "one", "two"]] {
        git(arguments).unwrap();
    }
    assert_eq!(fs::read(folder.path().join("two/setup")).unwrap(), fs::read(folder.path().join("one/setup")).unwrap());
}

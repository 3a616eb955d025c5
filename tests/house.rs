//! The order of the house: layers, examples, experiments.

use reproduction::experiment::{ExperimentFile, Group};
use reproduction::report_card::Contents;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|ending| ending == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// lib.rs lists the modules in layer order; a module may use those listed before it.
#[test]
fn modules_import_lower_layers_only() {
    let source = root().join("src");
    let library = read(&source.join("lib.rs"));
    let order: Vec<&str> = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(order.len() > 10, "{order:?}");
    let rank = |module: &str| order.iter().position(|name| *name == module).unwrap_or_else(|| panic!("{module} is not in lib.rs"));
    let mut imports = 0;
    for file in files(&source, "rs") {
        let inside = file.strip_prefix(&source).expect("below src");
        let module = inside.components().next().expect("a name").as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        let text = read(&file);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for used in code.lines().filter_map(|line| line.trim().strip_prefix("use crate::")) {
            let used: String = used.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            assert!(used == module || rank(&used) < rank(&module), "{} imports {used}, which lies above it", inside.display());
            let trains = ["train", "model", "optim", "layers", "data"].contains(&module.as_str());
            assert!(!(trains && used == "reported"), "{}: nothing that trains may know the report's numbers", inside.display());
            imports += 1;
        }
    }
    assert!(imports > 30, "{imports} imports were found");
}

/// A function of the library returns; only an example's `main` ends the process.
#[test]
fn no_function_of_the_library_ends_the_process() {
    for file in files(&root().join("src"), "rs") {
        let text = read(&file);
        for call in ["process::exit", "process::abort", ".exit()"] {
            assert!(!text.contains(call), "{} calls {call}", file.display());
        }
    }
}

#[test]
fn every_experiment_is_valid_and_has_its_example() {
    for file in files(&root().join("experiments"), "toml") {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        if ["networks", "recipes", "reported"].contains(&name.as_str()) {
            continue;
        }
        match name.as_str() {
            "report_card" => drop(Contents::read(&root().join("experiments")).unwrap_or_else(|error| panic!("{error:#}"))),
            "fig16_errors" => drop(Group::read_all(&file).unwrap_or_else(|error| panic!("{error:#}"))),
            _ => drop(ExperimentFile::read(&file).unwrap_or_else(|error| panic!("{error:#}"))),
        }
        assert!(root().join("examples").join(format!("{name}.rs")).exists(), "{name}.toml has no example of its name");
    }
}

#[test]
fn examples_fit_on_a_screen_and_say_what_they_do() {
    for file in files(&root().join("examples"), "rs") {
        let text = read(&file);
        let lines = text.lines().count();
        assert!((20..=80).contains(&lines), "{} has {lines} lines, expected 20 to 80", file.display());
        assert!(text.lines().take(2).all(|line| line.starts_with("//! ")), "{}: two doc lines come first", file.display());
    }
}

/// The names behind `use super::` in a file, up to the next `::`; of a list in braces each.
fn siblings(code: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>();
    let uses = code.lines().filter_map(|line| line.trim().trim_start_matches("pub ").strip_prefix("use super::"));
    uses.flat_map(|used| match used.strip_prefix('{') {
        Some(list) => list.split(',').map(name).collect(),
        None => vec![name(used)],
    })
    .collect()
}

/// Files of a folder do not import each other in a circle. A file may use what its `mod.rs` declares.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut imports: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for file in files(&root().join("src"), "rs") {
        let text = read(&file);
        let names = siblings(text.split("#[cfg(test)]").next().unwrap_or_default());
        let found = names.iter().map(|name| file.with_file_name(format!("{name}.rs"))).filter(|path| path.exists()).collect();
        imports.insert(file, found);
    }
    assert!(imports.values().map(Vec::len).sum::<usize>() > 30, "{imports:?}");
    // Files that import none of the rest are taken away until none is left, or only circles are.
    while let Some(free) =
        imports.iter().find(|(_, used)| used.iter().all(|path| !imports.contains_key(path))).map(|(file, _)| file.clone())
    {
        imports.remove(&free);
    }
    assert!(imports.is_empty(), "these import each other: {:?}", imports.keys());
}

#[test]
fn no_page_has_the_marks_of_an_unfinished_merge() {
    let pages = files(&root().join("docs"), "md");
    let experiments = files(&root().join("experiments"), "toml");
    let others = ["README.md", "CHANGELOG.md", "Cargo.toml"].map(|name| root().join(name));
    for path in pages.iter().chain(&experiments).chain(&others) {
        let text = read(path);
        let mark = text.lines().find(|line| ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)));
        assert_eq!(mark, None, "{}", path.display());
    }
}

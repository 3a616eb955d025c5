//! `extends`: a file or one of its variants takes tables from other files of the folder.
//!
//! `extends = "kaggle_vgg"` takes all of kaggle_vgg.toml but its variants, `extends = "networks.vgg"` the table `[vgg]` of networks.toml, and
//! a list of names takes each over those before it. What stands beside `extends` is written over all of them. `set` changes its own table and
//! what that extends, not what is written over it.

use super::line::{in_file, one_line};
use super::set::{overlay, overlay_and_set};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use toml::{Table, Value};

/// The TOML file `path`, with the tables that it and its variants extend.
///
/// # Errors
/// If a file cannot be read, is no TOML or has no table of a name, or files extend each other in a circle.
pub fn read_extended(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the experiment {}", path.display()))?;
    parse_extended(&text, path)
}

/// As [`read_extended`], from text; `path` says where the others are, and is for messages.
pub(super) fn parse_extended(text: &str, path: &Path) -> Result<Table> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let table: Table = toml::from_str(text).map_err(one_line).with_context(|| in_file(path))?;
    let mut table = extended(table, folder, &mut Vec::new()).with_context(|| in_file(path))?;
    if let Some(Value::Table(variants)) = table.get_mut("variants") {
        for (name, variant) in variants.iter_mut() {
            if let Value::Table(changes) = variant {
                let changes = std::mem::take(changes);
                let in_variant = || format!("{}, variant `{name}`", in_file(path));
                *variant = Value::Table(extended(changes, folder, &mut Vec::new()).with_context(in_variant)?);
            }
        }
    }
    Ok(table)
}

/// `table` over what it extends, its own `set` still to be applied. `chain` are the names that led here.
fn extended(mut table: Table, folder: &Path, chain: &mut Vec<String>) -> Result<Table> {
    let names: Vec<String> = match table.remove("extends") {
        None => return Ok(table),
        Some(Value::String(name)) => vec![name],
        Some(list) => {
            list.try_into().ok().context("`extends` is neither a name nor a list of names, expected for example \"networks.vgg\"")?
        }
    };
    let mut whole = Table::new();
    for name in names {
        ensure!(!chain.contains(&name), "`extends` goes in a circle: {} -> {name}", chain.join(" -> "));
        chain.push(name.clone());
        let layer = named(folder, chain).and_then(|layer| overlay_and_set(&mut whole, &layer));
        layer.with_context(|| format!("extends = \"{name}\""))?;
        chain.pop();
    }
    overlay(&mut whole, &table);
    Ok(whole)
}

/// The table that the last name of `chain` refers to.
fn named(folder: &Path, chain: &mut Vec<String>) -> Result<Table> {
    let name = chain.last().cloned().unwrap_or_default();
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    ensure!(name.split('.').all(is_name), "expected the name of a file in {}, or that and the name of a table in it", folder.display());
    let mut parts = name.split('.');
    let path = folder.join(parts.next().unwrap_or_default()).with_extension("toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut table: Table = toml::from_str(&text).map_err(one_line).with_context(|| in_file(&path))?;
    for part in parts {
        let known = table.keys().cloned().collect::<Vec<_>>().join(", ");
        table = match table.remove(part) {
            Some(Value::Table(table)) => table,
            _ => bail!("{}: there is no table `{part}`; known are: {known}", in_file(&path)),
        };
    }
    // What to run is each file's own.
    for own in ["run", "variants", "search"] {
        table.remove(own);
    }
    extended(table, folder, chain)
}

#[cfg(test)]
mod tests {
    use super::super::{ExperimentFile, Initialization, Layer};
    use super::*;

    /// The file x.toml with this text beside these other files.
    fn parse(text: &str, others: &[(&str, &str)]) -> Result<ExperimentFile> {
        let folder = tempfile::tempdir()?;
        others.iter().try_for_each(|(name, text)| std::fs::write(folder.path().join(name), text))?;
        ExperimentFile::parse(text, &folder.path().join("x.toml"))
    }

    const NETWORKS: (&str, &str) = (
        "networks.toml",
        "[small.model]\nhidden = [5]\ninitialization = \"glorot\"\n[large]\nextends = \"networks.small\"\nmodel.hidden = [50]\n[odd]\nmodel.depth = 3",
    );
    const BASE: (&str, &str) = (
        "base.toml",
        "run = [\"b\"]\nseeds = 7\nextends = \"networks.small\"\nsplit = { validation = \"last\", validation_examples = 9 }\n[variants.b]",
    );

    #[test]
    fn a_file_and_a_variant_take_what_they_extend_and_write_their_own_over_it() -> Result<()> {
        let file = parse(
            "extends = \"base\"\nrun = [\"a\"]\nsplit.validation_examples = 8\n[variants.a]\n[variants.c]\nextends = [\"networks.large\"]\nmodel.initialization = \"zero\"",
            &[NETWORKS, BASE],
        )?;
        assert_eq!((file.default_variants(), file.seeds("a")?), (&["a".to_owned()][..], 7));
        assert!(file.variant("b").is_err(), "variants are not inherited");
        let (a, c) = (file.variant("a")?, file.variant("c")?);
        assert_eq!((a.model.hidden, a.split.and_then(|split| split.validation_examples)), (vec![5], Some(8)));
        assert_eq!((c.model.hidden, c.model.initialization), (vec![50], Initialization::Zero));
        Ok(())
    }

    #[test]
    fn a_number_in_many_places_is_set_once() -> Result<()> {
        let layers =
            "run = [\"a\"]\n[model]\ninitialization = \"zero\"\nlayers = [{ dropout = 0.1 }, { fully_connected = 5 }, { dropout = 0.1 }]\n";
        let file = parse(&format!("set.\"model.layers.*.dropout\" = 0.5\n{layers}[variants.a]"), &[])?;
        assert_eq!(file.variant("a")?.model.layers, [Layer::Dropout(0.5), Layer::FullyConnected(5), Layer::Dropout(0.5)]);
        for (set, expected) in [("\"model.width\" = 3", "unknown field `width`"), ("\"model.layers.*.dropout\" = 1.5", "Dropout(1.5)")] {
            let error = format!("{:#}", parse(&format!("set.{set}\n{layers}[variants.a]"), &[]).expect_err(set));
            assert!(error.contains(expected) && error.contains("variant `a`"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn layers_of_its_own_are_not_set_by_what_a_variant_extends() -> Result<()> {
        let layers = |dropout: &str| format!("model.layers = [{{ fully_connected = 5 }}, {{ dropout = {dropout} }}]\n");
        let set = "set.\"model.layers.*.dropout\" = ";
        let recipe = ("recipe.toml", &*format!("{set}0.5\nmodel.initialization = \"zero\"\n{}", layers("0.1")));
        let text = format!(
            "extends = \"recipe\"\nrun = [\"inherited\"]\n{set}0.25\n[variants.inherited]\n[variants.own]\n{}[variants.both]\n{set}0.75\n{}\
             [variants.again]\nextends = \"recipe\"\n[variants.whole]\n{}{set}0.125",
            layers("0.2"),
            layers("0.3"),
            layers("0"),
        );
        let file = parse(&text, &[recipe])?;
        for (variant, dropout) in [("inherited", 0.25), ("own", 0.2), ("both", 0.75), ("again", 0.5), ("whole", 0.125)] {
            assert_eq!(file.variant(variant)?.model.layers, [Layer::FullyConnected(5), Layer::Dropout(dropout)], "{variant}");
        }
        let error = format!("{:#}", parse(&text.replace("0.75", "\"much\""), &[recipe]).expect_err("no number"));
        assert!(error.contains("variant `both`") && error.contains("invalid type: string \"much\", expected f64"), "{error}");
        Ok(())
    }

    #[test]
    fn what_cannot_be_extended_is_named() {
        let rest = "\nrun = [\"a\"]\n[variants.a]";
        let circle = ("circle.toml", "extends = \"other\"");
        let other = ("other.toml", "extends = \"circle\"");
        let cases = [
            ("extends = \"none\"", "cannot read "),
            ("extends = \"networks.none\"", "there is no table `none`; known are: large, odd, small"),
            ("extends = \"networks.small.model.hidden\"", "there is no table `hidden`"),
            ("extends = \"circle\"", "`extends` goes in a circle: circle -> other -> circle"),
            ("extends = \"../networks\"", "expected the name of a file in "),
            ("extends = \"\"", "expected the name of a file in "),
            ("extends = 3", "`extends` is neither a name nor a list of names"),
            ("extends = \"networks.odd\"", "unknown field `depth`"),
            ("extends = \"broken\"", "broken.toml"),
            ("extends = \"inner\"", "extends = \"inner\": extends = \"none\": cannot read "),
            ("[model]\nextends = \"networks.small\"", "x.toml"),
        ];
        for (line, expected) in cases {
            let text = if line.starts_with('[') { format!("run = [\"a\"]\n{line}\n[variants.a]") } else { format!("{line}{rest}") };
            let error =
                parse(&text, &[NETWORKS, circle, other, ("broken.toml", "= 3"), ("inner.toml", "extends = \"none\"")]).expect_err(line);
            let error = format!("{error:#}");
            assert!(error.contains(expected) && error.contains("x.toml") && !error.contains('\n'), "{line}: {error}");
        }
        let error = format!("{:#}", parse("run = [\"a\"]\n[variants.a]\nextends = \"none\"", &[]).expect_err("no such file"));
        assert!(error.contains("variant `a`: extends = \"none\": cannot read "), "{error}");
    }
}

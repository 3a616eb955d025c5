//! Messages on what is wrong in an experiment's file: each in one line, with the line of the file.

use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where the key that `message` names got its value in variant `name` of the file `path`, which holds `text`: `line 7`, or, where the file
/// extends another, `in networks.toml, line 7`. None where the message names no key of a file.
pub(super) fn place(path: &Path, text: &str, name: &str, message: &str) -> Option<String> {
    let (key, document) = (key_of(message)?, DeTable::parse(text).ok()?);
    let own = table_at(document.get_ref(), ["variants", name].into_iter()).and_then(|variant| find(variant, path, text, &key));
    let (file, line) = own.or_else(|| find(document.get_ref(), path, text, &key))?;
    Some(if file == path { format!("line {line}") } else { format!("in {}, line {line}", file.display()) })
}

/// The key in the words of serde, ``unknown field `epoch`, expected ... in `training` ``, or in ours, `training.epochs is 0, expected ...`.
fn key_of(message: &str) -> Option<String> {
    let quoted = |text: &str| text.split('`').next().map(str::to_owned);
    if let Some(rest) = ["key `", "the experiment has no `"].into_iter().find_map(|begin| message.strip_prefix(begin)) {
        return quoted(rest);
    }
    let unknown = message.strip_prefix("unknown field `").and_then(quoted);
    let table = message.rsplit_once(" in `").and_then(|(_, rest)| quoted(rest));
    match (table, unknown) {
        (Some(table), Some(unknown)) => Some(format!("{table}.{unknown}")),
        (None, None) => message.split(' ').next().map(str::to_owned),
        (known, other) => known.or(other),
    }
}

/// The file and the line in which `key` is set in `table`, of the file `path` that holds `text`: what is written over the rest comes first.
fn find(table: &DeTable, path: &Path, text: &str, key: &str) -> Option<(PathBuf, usize)> {
    let set = table.get("set").and_then(as_table).and_then(|set| Some(set.get_key_value(key)?.0.span()));
    let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
    let parents = parents.split('.').filter(|part| !part.is_empty());
    let own = || Some(table_at(table, parents)?.get_key_value(last)?.0.span());
    if let Some(span) = set.or_else(own) {
        return Some((path.to_owned(), 1 + text[..span.start].matches('\n').count()));
    }
    let names: Vec<&str> = match table.get("extends").map(Spanned::get_ref) {
        Some(DeValue::String(name)) => vec![name],
        Some(DeValue::Array(names)) => names.iter().filter_map(|name| name.get_ref().as_str()).collect(),
        _ => Vec::new(),
    };
    names.into_iter().rev().find_map(|name| {
        let mut parts = name.split('.');
        let path = path.with_file_name(parts.next()?).with_extension("toml");
        let text = std::fs::read_to_string(&path).ok()?;
        let document = DeTable::parse(&text).ok()?;
        find(table_at(document.get_ref(), parts)?, &path, &text, key)
    })
}

fn table_at<'a, 'i>(table: &'a DeTable<'i>, mut path: impl Iterator<Item = &'a str>) -> Option<&'a DeTable<'i>> {
    path.try_fold(table, |table, key| as_table(table.get(key)?))
}

fn as_table<'a, 'i>(value: &'a Spanned<DeValue<'i>>) -> Option<&'a DeTable<'i>> {
    if let DeValue::Table(table) = value.get_ref() { Some(table) } else { None }
}

/// The place of an error.
pub(super) fn in_file(path: &Path) -> String {
    format!("in {}", path.display())
}

/// toml's messages quote the source over several lines; an error here is one chain. To an unknown key it adds which was probably meant.
pub(super) fn one_line(error: toml::de::Error) -> anyhow::Error {
    let text = error.to_string().trim().replace('\n', " ");
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let meant = text.strip_prefix("unknown ").and_then(|rest| {
        let (unknown, expected) = rest.split_once(", expected ")?;
        let known = quoted(expected.split(" in `").next()?);
        nearest(quoted(unknown).first()?, known.iter().map(String::as_str))
    });
    anyhow::anyhow!("{text}{}", meant.unwrap_or_default())
}

/// The known word that was probably meant by an unknown one.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let (word, likeness) = known.map(|word| (word, strsim::jaro(unknown, word))).max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    (likeness > 0.7).then(|| format!("; did you mean `{word}`?"))
}

#[cfg(test)]
mod tests {
    use super::super::ExperimentFile;

    #[test]
    fn what_is_wrong_is_found_in_the_line_that_counts() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let recipe = "[slow]\ntraining.epochs = 2\ntraining.minibatch = 10\ntraining.learning_rate = 0.1\ntraining.order = 'shuffled'\n";
        let networks = "[small]\nmodel.hidden = [5]\nmodel.initialization = 'glorot'\n";
        let base = "extends = ['networks.small', 'recipes.slow']\nrun = ['a']\nsplit = { validation = 'last', validation_examples = 9 }\n\
                    training.momentum = 0.5\n[variants.a]\n[variants.b]\nseeds = 4\nset.'training.momentum' = 0.25\n\
                    training.epochs = 7\n";
        let cases = [
            ("epochs = 2", "epochs = 0", "a", "in recipes.toml, line 2: training.epochs is 0"),
            ("minibatch = 10", "minibatch = 'x'", "a", "in recipes.toml, line 3: invalid type"),
            ("training.order", "training.ordre", "a", "in recipes.toml, line 5: unknown field `ordre`"),
            ("hidden", "hiden", "a", "in networks.toml, line 2: unknown field `hiden`"),
            ("momentum = 0.5", "momentum = 5", "a", "line 4: training.momentum is 5"),
            ("split = ", "splits = ", "a", "line 3: unknown field `splits`"),
            ("seeds = 4", "seeds = 'x'", "b", "line 7: key `seeds`"),
            ("seeds = 4", "seeds = 0", "b", "line 7: seeds is 0"),
            ("0.25", "2", "b", "line 8: training.momentum is 2"),
            ("momentum' = 0", "momentum.x' = 0", "b", "line 8: the experiment has no `training.momentum.x`"),
            ("epochs = 7", "epochs = -7", "b", "line 9: training.epochs is -7"),
        ];
        for (good, bad, variant, expected) in cases {
            let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text.replace(good, bad));
            write("recipes.toml", recipe)?;
            write("networks.toml", networks)?;
            let path = folder.path().join("x.toml");
            let error = format!("{:#}", ExperimentFile::parse(&base.replace(good, bad), &path).expect_err(bad));
            let error = error.replace(&format!("{}/", folder.path().display()), "");
            assert!(error.starts_with(&format!("in x.toml, variant `{variant}`: {expected}")), "{bad}: {error}");
        }
        Ok(())
    }
}

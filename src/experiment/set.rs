//! Overrides of single values of an experiment by path: the TOML key `set`, random search, and the flag `--set`.

use super::line::one_line;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::str::FromStr;
use toml::{Table, Value};

/// Writes what `changes` holds over `base`, and then sets what its key `set` names, in both.
pub(super) fn overlay_and_set(base: &mut Table, changes: &Table) -> Result<()> {
    overlay(base, changes);
    let Some(values) = base.remove("set") else { return Ok(()) };
    let values = values.try_into::<Table>().map_err(one_line).context("key `set`")?;
    for (path, value) in &values {
        set(base, path, |_| value.clone())?;
    }
    Ok(())
}

/// Writes what `changes` holds over `base`, table by table.
pub(super) fn overlay(base: &mut Table, changes: &Table) {
    for (key, value) in changes {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(changes)) => overlay(base, changes),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Applies `value` to every entry that matches `path`: keys separated by dots; list elements by index from 0, or `*` for all that have the
/// rest of the path. A missing key of a table is added.
///
/// # Errors
/// If there is no such place.
pub(super) fn set(table: &mut Table, path: &str, value: impl Fn(Option<&Value>) -> Value) -> Result<()> {
    let parts: Vec<&str> = path.split('.').collect();
    let mut whole = Value::Table(std::mem::take(table));
    if replace(&mut whole, &parts, &value) == 0 {
        add(&mut whole, &parts, value(None)).with_context(|| format!("the experiment has no `{path}`, which is to be set"))?;
    }
    if let Value::Table(whole) = whole {
        *table = whole;
    }
    Ok(())
}

/// Whether the two paths can name the same entry.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let is_same = |(one, other): (&str, &str)| one == other || [one, other].contains(&"*");
    one.split('.').count() == other.split('.').count() && one.split('.').zip(other.split('.')).all(is_same)
}

/// Replaces every existing entry that matches `path`, and returns their number.
fn replace(found: &mut Value, path: &[&str], value: &impl Fn(Option<&Value>) -> Value) -> usize {
    match (found, path) {
        (found, []) => {
            *found = value(Some(found));
            1
        }
        (Value::Array(elements), ["*", rest @ ..]) => elements.iter_mut().map(|element| replace(element, rest, value)).sum(),
        (found, [key, rest @ ..]) => child(found, key).map_or(0, |found| replace(found, rest, value)),
    }
}

fn child<'a>(found: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match found {
        Value::Table(table) => table.get_mut(key),
        Value::Array(elements) => elements.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Adds a missing key, with the tables above it. Not inside list elements, where the only key is the kind of layer.
fn add(whole: &mut Value, path: &[&str], value: Value) -> Result<()> {
    let mut found = whole;
    for (depth, key) in path.iter().enumerate() {
        let parent = path[..depth].join(".");
        match found {
            Value::Array(elements) => match key.parse::<usize>().ok().and_then(|index| elements.get(index)) {
                Some(element) => bail!("`{parent}.{key}` is {element}"),
                None => {
                    bail!("`{parent}` has {} elements; expected the number of one, from 0, or * for all that have the key", elements.len())
                }
            },
            Value::Table(_) if *key != "*" => {}
            other => bail!("`{parent}` is {other}"),
        }
        found = found.as_table_mut().context("it is a table")?.entry(*key).or_insert_with(|| Value::Table(Table::new()));
    }
    *found = value;
    Ok(())
}

/// A flag `--set KEY=VALUE`: a key of the experiment, and the values to train it with.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub key: String,
    pub values: Vec<Value>,
}

impl FromStr for Setting {
    type Err = anyhow::Error;

    /// `training.learning_rate=0.1`, or several values: `training.learning_rate=0.1,0.03`. A value is one of TOML; a word that is none is a
    /// string.
    fn from_str(text: &str) -> Result<Setting> {
        let (key, values) = text.split_once('=').context("expected KEY=VALUE, for example training.learning_rate=0.1")?;
        let is_key = key.split('.').all(|part| !part.is_empty());
        ensure!(is_key, "the key is `{key}`, expected one of the experiment's, for example training.epochs");
        // A list of TOML, but for words that are no values of it; a comma at the end, which a list may have, says that one is missing.
        let values = match format!("[{values}]").parse() {
            Ok(Value::Array(list)) if !list.is_empty() && !values.trim_end().ends_with(',') => list,
            _ => values.split(',').map(parse).collect::<Result<_>>()?,
        };
        Ok(Setting { key: key.to_owned(), values })
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let values: Vec<String> = self.values.iter().map(|value| value.as_str().map_or(value.to_string(), str::to_owned)).collect();
        write!(formatter, "{}={}", self.key, values.join(","))
    }
}

fn parse(text: &str) -> Result<Value> {
    let text = text.trim();
    let is_word = text.starts_with(char::is_alphabetic) && text.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter));
    match text.parse::<Value>() {
        Err(_) if is_word => Ok(Value::String(text.to_owned())),
        parsed => parsed.map_err(|error| anyhow!("`{text}` is no value of TOML: {}", error.message())),
    }
}

/// The Cartesian product of the values, each with its suffix for variant names: empty where each setting has one value.
pub fn combinations(settings: &[Setting]) -> Vec<(String, Table)> {
    let mut combinations = vec![(String::new(), Table::new())];
    for Setting { key, values } in settings {
        let with = |(name, table): &(String, Table), value: &Value| {
            let name = if values.len() > 1 { format!("{name}_{}_{}", short(key), legal(value)) } else { name.clone() };
            let mut table = table.clone();
            table.insert(key.clone(), value.clone());
            (name, table)
        };
        combinations = combinations.iter().flat_map(|before| values.iter().map(move |value| with(before, value))).collect();
    }
    combinations
}

/// The last part of a key that is a word.
fn short(key: &str) -> &str {
    key.rsplit('.').find(|part| part.starts_with(char::is_alphabetic)).unwrap_or(key)
}

/// A value as a part of a folder's name.
fn legal(value: &Value) -> String {
    let text = value.as_str().map_or(value.to_string(), str::to_owned);
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
    text.split(|letter| !is_legal(letter)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "training = { learning_rate = 0.1, minibatch = 32 }\nmodel.layers = [\"max_pool\", { dropout = 0.4 }, { fully_connected = 2 }, { dropout = 0.4 }]";

    #[test]
    fn a_path_sets_every_place_that_it_names() -> Result<()> {
        let cases = [
            ("training.learning_rate", "0.01", "0.1", "0.01"),
            ("training.order", "'shuffled'", " }\nmodel", ", order = 'shuffled' }\nmodel"),
            ("training.early_stopping.patience", "3", " }\nmodel", ", early_stopping = { patience = 3 } }\nmodel"),
            ("model.layers.*.dropout", "0.5", "0.4", "0.5"),
            ("model.layers.3.dropout", "0.5", "0.4 }]", "0.5 }]"),
            ("model.layers.0", "'tanh'", "max_pool", "tanh"),
            ("model.layers", "[]", "[\"max_pool\", { dropout = 0.4 }, { fully_connected = 2 }, { dropout = 0.4 }]", "[]"),
        ];
        for (path, value, old, new) in cases {
            let (mut table, value): (Table, Value) = (toml::from_str(TEXT)?, value.parse()?);
            set(&mut table, path, |_| value.clone())?;
            assert_eq!(table, toml::from_str(&TEXT.replace(old, new))?, "{path}");
        }
        Ok(())
    }

    #[test]
    fn where_there_is_no_place_it_is_said_what_is_there() -> Result<()> {
        let cases = [
            ("model.layers.0.dropout", "`model.layers.0` is \"max_pool\""),
            ("model.layers.2.dropout", "`model.layers.2` is { fully_connected = 2 }"),
            ("model.layers.4.dropout", "`model.layers` has 4 elements; expected the number of one, from 0, or *"),
            ("model.layers.dropout", "`model.layers` has 4 elements"),
            ("model.layers.*.width", "`model.layers` has 4 elements"),
            ("training.*", "`training` is { learning_rate"),
            ("training.minibatch.size", "`training.minibatch` is 32"),
        ];
        for (path, expected) in cases {
            let mut table = toml::from_str(TEXT)?;
            let error = set(&mut table, path, |_| Value::Integer(1)).expect_err(path);
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{path}: {error}");
        }
        Ok(())
    }

    #[test]
    fn a_setting_has_values_of_toml_or_words() -> Result<()> {
        let values = |text: &str| -> Result<Vec<String>> {
            let setting: Setting = format!("a.b={text}").parse()?;
            assert_eq!(setting.key, "a.b");
            Ok(setting.values.iter().map(Value::to_string).collect())
        };
        let cases: [(&str, &[&str]); 9] = [
            ("0.1,0.03", &["0.1", "0.03"]),
            ("1e-3", &["0.001"]),
            ("adam, sgd", &["\"adam\"", "\"sgd\""]),
            ("true", &["true"]),
            ("[5, 6],[7]", &["[5, 6]", "[7]"]),
            ("[{ dropout = 0.5 }, \"max_pool\"]", &["[{ dropout = 0.5 }, \"max_pool\"]"]),
            ("{ grid = 5, strength = 0.5 }", &["{ grid = 5, strength = 0.5 }"]),
            ("\"a,b\"", &["\"a,b\""]),
            ("3,3", &["3", "3"]),
        ];
        for (text, expected) in cases {
            assert_eq!(values(text)?, expected, "{text}");
        }
        for bad in ["", "0.1,", ".1", "[1, 2", "{ a = 1", "\"a", "a b", "nothing]"] {
            assert!(format!("{:#}", values(bad).expect_err(bad)).contains("is no value of TOML"), "{bad}");
        }
        for bad in ["learning_rate", "=3", "a..b=3"] {
            assert!(bad.parse::<Setting>().expect_err(bad).to_string().contains("expected"), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn several_values_are_variants_with_names_that_folders_can_have() -> Result<()> {
        let settings = ["model.layers.*.dropout=0.5,0.25", "training.epochs=3", "model.hidden=[5],[5, 6]"].map(str::parse::<Setting>);
        let combinations = combinations(&settings.into_iter().collect::<Result<Vec<_>>>()?);
        let names: Vec<&str> = combinations.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["_dropout_0.5_hidden_5", "_dropout_0.5_hidden_5-6", "_dropout_0.25_hidden_5", "_dropout_0.25_hidden_5-6"];
        assert_eq!(names, expected);
        assert_eq!(combinations[1].1.to_string().lines().count(), 3, "{}", combinations[1].1);
        Ok(())
    }
}

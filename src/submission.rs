//! Predictions as CSV: for images whose labels are known, and as Kaggle takes them, with the columns `id` and `label`.

use crate::data::cats_dogs::{Asked, CLASSES, Competition};
use crate::files::read_csv;
use crate::table::{self, Table};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use tch::{Kind, Tensor};

/// The prediction for one image whose label is known: a line of `<example>_validation.csv`, for example.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prediction {
    pub file: String,
    pub label: String,
    pub prediction: String,
    /// The probability that the network gives its prediction.
    pub confidence: f64,
}

impl Prediction {
    pub fn label_and_prediction(&self) -> (&str, &str) {
        (&self.label, &self.prediction)
    }
}

/// The predictions for the validation images that `example` has written into `folder`.
///
/// # Errors
/// If they are not there, or there is none.
pub fn read_predictions(folder: &Path, example: &str) -> Result<Vec<Prediction>> {
    let path = folder.join(format!("{example}_validation.csv"));
    let all: Vec<Prediction> =
        read_csv(&path, "the predictions").with_context(|| format!("{example} writes the predictions; run it first"))?;
    ensure!(!all.is_empty(), "{} holds no predictions; run {example} again", path.display());
    Ok(all)
}

/// The confusion matrix of labels and predictions, a row for each label, and each class's accuracy.
pub fn confusion<T: Ord + Display>(predictions: impl IntoIterator<Item = (T, T)>) -> Table {
    let mut counts = BTreeMap::<T, BTreeMap<T, u32>>::new();
    for (label, prediction) in predictions {
        *counts.entry(label).or_default().entry(prediction).or_default() += 1;
    }
    let classes: BTreeSet<&T> = counts.iter().flat_map(|(label, row)| row.keys().chain([label])).collect();
    let headings = classes.iter().map(|class| format!("→ {class}"));
    let headings: Vec<String> = ["label".to_owned()].into_iter().chain(headings).chain(["accuracy".to_owned()]).collect();
    let mut table = table::new(headings.iter().map(String::as_str));
    for (label, row) in &counts {
        let count = |class: &T| row.get(class).copied().unwrap_or(0);
        let accuracy = format!("{:.4}", f64::from(count(label)) / f64::from(row.values().sum::<u32>()));
        table.add_row([label.to_string()].into_iter().chain(classes.iter().map(|class| count(class).to_string())).chain([accuracy]));
    }
    table::align_right(&mut table, 1..classes.len() + 2);
    table
}

/// The submission to the competition that asks: the predictions, a class and its probability, for the images that can be read; for the
/// others the class that most of `labels` (int64 `[n]`, those of the training images) have, and its share of them.
pub(crate) fn to_csv(asked: &Asked, predictions: &[(&str, f64)], labels: &Tensor) -> Result<Vec<u8>> {
    let (images, count) = (asked.ids.len(), predictions.len());
    ensure!(images == count, "{images} test images have {count} predictions, expected one for each");
    let dogs = labels.to_kind(Kind::Double).mean(None::<Kind>).double_value(&[]);
    let most = if dogs > 0.5 { (CLASSES[1], dogs) } else { (CLASSES[0], 1.0 - dogs) };
    let read = asked.ids.iter().zip(predictions.iter().copied());
    let all: BTreeMap<i64, (&str, f64)> = asked.unreadable.iter().map(|id| (*id, most)).chain(read.map(|(id, one)| (*id, one))).collect();
    ensure!(!all.is_empty(), "there are no test images to submit labels for");
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "label"])?;
    for (id, (class, confidence)) in all {
        let is_dog = class == CLASSES[1];
        let label = match asked.competition {
            Competition::Course => class.to_owned(),
            Competition::DogsVsCats => u8::from(is_dog).to_string(),
            Competition::Redux => (if is_dog { confidence } else { 1.0 - confidence }).to_string(),
        };
        writer.write_record([id.to_string(), label])?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confusion_matrix_counts_each_label_under_each_prediction() {
        let pairs = [("Cat", "Cat"), ("Dog", "Cat"), ("Cat", "Cat"), ("Cat", "Dog"), ("Cat", "Cat"), ("Dog", "Cat")];
        let text = table::markdown(&confusion(pairs)).replace(' ', "");
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!((rows[0], rows[2], rows[3]), ("|label|→Cat|→Dog|accuracy|", "|Cat|3|1|0.7500|", "|Dog|2|0|0.0000|"));
    }

    fn submission(
        competition: Competition,
        ids: &[i64],
        unreadable: &[i64],
        predictions: &[(&str, f64)],
        labels: &[i64],
    ) -> Result<String> {
        let asked = Asked { competition, ids: ids.to_vec(), unreadable: unreadable.to_vec() };
        Ok(String::from_utf8(to_csv(&asked, predictions, &Tensor::from_slice(labels))?)?)
    }

    #[test]
    fn it_is_as_each_competition_wants_it() -> Result<()> {
        let csv = |competition| submission(competition, &[1, 2, 4], &[], &[("Cat", 0.75), ("Dog", 0.625), ("Cat", 0.5)], &[0, 1]);
        assert_eq!(csv(Competition::Course)?, "id,label\n1,Cat\n2,Dog\n4,Cat\n");
        assert_eq!(csv(Competition::DogsVsCats)?, "id,label\n1,0\n2,1\n4,0\n");
        assert_eq!(csv(Competition::Redux)?, "id,label\n1,0.25\n2,0.625\n4,0.5\n");
        Ok(())
    }

    #[test]
    fn images_that_cannot_be_read_have_the_class_of_most_training_images() -> Result<()> {
        let of = |count: usize, labels: &[i64]| {
            submission(Competition::Redux, &[1, 3], &[2, 4], &[("Cat", 0.75), ("Dog", 0.5)][..count], labels)
        };
        assert_eq!(of(2, &[1, 0, 1, 1])?, "id,label\n1,0.25\n2,0.75\n3,0.5\n4,0.75\n");
        assert_eq!(of(2, &[1, 0, 0, 0])?, "id,label\n1,0.25\n2,0.25\n3,0.5\n4,0.25\n");
        assert!(of(1, &[0]).expect_err("one is missing").to_string().contains("2 test images have 1 predictions"));
        let none = submission(Competition::Course, &[], &[], &[], &[0]).expect_err("refused").to_string();
        assert!(none.contains("no test images"), "{none}");
        Ok(())
    }
}

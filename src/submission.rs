//! Predictions as CSV: for images whose labels are known, and as Kaggle takes them, with the columns `id` and `label`.

use crate::data::cats_dogs::{Asked, CLASSES, Competition};
use crate::table::{self, Table};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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

/// The predictions for the validation images that `example` has written into `folder`.
///
/// # Errors
/// If they are not there, or there is none.
pub fn read_predictions(folder: &Path, example: &str) -> Result<Vec<Prediction>> {
    let path = folder.join(format!("{example}_validation.csv"));
    let how = || format!("cannot read the predictions {}; {example} writes them", path.display());
    let mut reader = csv::Reader::from_path(&path).with_context(how)?;
    let all = reader.deserialize().collect::<Result<Vec<Prediction>, _>>().with_context(|| format!("in {}", path.display()))?;
    ensure!(!all.is_empty(), "{} holds no predictions; run {example} again", path.display());
    Ok(all)
}

/// The confusion matrix of `predictions`, a row for each label, and each class's accuracy.
pub fn confusion(predictions: &[Prediction]) -> Table {
    let mut counts = BTreeMap::<&str, BTreeMap<&str, u32>>::new();
    for Prediction { label, prediction, .. } in predictions {
        *counts.entry(label).or_default().entry(prediction).or_default() += 1;
    }
    let classes: BTreeSet<&str> = counts.iter().flat_map(|(label, row)| row.keys().chain([label])).copied().collect();
    let headings = classes.iter().map(|class| format!("taken for {class}"));
    let headings: Vec<String> = ["label".to_owned()].into_iter().chain(headings).chain(["accuracy".to_owned()]).collect();
    let mut table = table::new(headings.iter().map(String::as_str));
    for (label, row) in &counts {
        let count = |class: &&str| row.get(class).copied().unwrap_or(0);
        let accuracy = format!("{:.4}", f64::from(count(label)) / f64::from(row.values().sum::<u32>()));
        table.add_row([(*label).to_owned()].into_iter().chain(classes.iter().map(|class| count(class).to_string())).chain([accuracy]));
    }
    table::align_right(&mut table, 1..classes.len() + 2);
    table
}

/// An answer for one test image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer<'a> {
    pub id: i64,
    /// One of [`CLASSES`].
    pub class: &'a str,
    /// Its probability.
    pub confidence: f64,
}

/// An answer for every image that is asked about: those that can be read have the class and confidence of their prediction, the others
/// the class that most of `labels` (int64 `[n]`, those of the training images) have, and its share of them.
///
/// # Errors
/// If there are not as many predictions as images that can be read.
pub fn answers<'a>(asked: &Asked, predictions: &[(&'a str, f64)], labels: &Tensor) -> Result<Vec<Answer<'a>>> {
    let (images, count) = (asked.ids.len(), predictions.len());
    ensure!(images == count, "{images} test images have {count} predictions, expected one for each");
    let dogs = labels.to_kind(Kind::Double).mean(None::<Kind>).double_value(&[]);
    let (class, confidence) = if dogs > 0.5 { (CLASSES[1], dogs) } else { (CLASSES[0], 1.0 - dogs) };
    let read = asked.ids.iter().zip(predictions).map(|(&id, &(class, confidence))| Answer { id, class, confidence });
    let others = asked.unreadable.iter().map(|&id| Answer { id, class, confidence });
    let mut answers: Vec<Answer> = read.chain(others).collect();
    answers.sort_by_key(|answer| answer.id);
    Ok(answers)
}

/// The submission to `competition` with these answers.
///
/// # Errors
/// If Kaggle would refuse it: there is no answer, numbers do not ascend, a class is none of [`CLASSES`], a confidence no probability.
pub fn to_csv(competition: Competition, answers: &[Answer]) -> Result<Vec<u8>> {
    ensure!(!answers.is_empty(), "there are no test images to submit labels for");
    if let Some(pair) = answers.windows(2).find(|pair| pair[0].id >= pair[1].id) {
        bail!("test image {} comes before {} in the submission, expected ascending numbers, each once", pair[0].id, pair[1].id);
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "label"])?;
    for Answer { id, class, confidence } in answers {
        let label = CLASSES.iter().position(|known| known == class);
        let expected = || format!("test image {id} has the label `{class}` in the submission, expected one of {}", CLASSES.join(", "));
        let label = label.with_context(expected)?;
        ensure!((0.0..=1.0).contains(confidence), "test image {id} has the confidence {confidence}, expected a probability");
        let text = match competition {
            Competition::Course => (*class).to_owned(),
            Competition::DogsVsCats => label.to_string(),
            Competition::Redux => (if label == 1 { *confidence } else { 1.0 - confidence }).to_string(),
        };
        writer.write_record([&id.to_string(), &text])?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: i64, class: &str, confidence: f64) -> Answer<'_> {
        Answer { id, class, confidence }
    }

    #[test]
    fn a_confusion_matrix_counts_each_label_under_each_prediction() {
        let pairs = [("Cat", "Cat"), ("Dog", "Cat"), ("Cat", "Cat"), ("Cat", "Dog"), ("Cat", "Cat"), ("Dog", "Cat")];
        let row = |(label, prediction): (&str, &str)| Prediction {
            file: String::new(),
            label: label.to_owned(),
            prediction: prediction.to_owned(),
            confidence: 1.0,
        };
        let text = table::markdown(&confusion(&pairs.map(row))).replace(' ', "");
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!((rows[0], rows[2], rows[3]), ("|label|takenforCat|takenforDog|accuracy|", "|Cat|3|1|0.7500|", "|Dog|2|0|0.0000|"));
    }

    #[test]
    fn it_is_as_each_competition_wants_it() -> Result<()> {
        let answers = [answer(1, "Cat", 0.75), answer(2, "Dog", 0.625), answer(4, "Cat", 0.5)];
        let csv = |competition| Ok::<_, anyhow::Error>(String::from_utf8(to_csv(competition, &answers)?)?);
        assert_eq!(csv(Competition::Course)?, "id,label\n1,Cat\n2,Dog\n4,Cat\n");
        assert_eq!(csv(Competition::DogsVsCats)?, "id,label\n1,0\n2,1\n4,0\n");
        assert_eq!(csv(Competition::Redux)?, "id,label\n1,0.25\n2,0.625\n4,0.5\n");
        Ok(())
    }

    #[test]
    fn images_that_cannot_be_read_have_the_class_of_most_training_images() -> Result<()> {
        let asked = Asked { competition: Competition::Course, ids: vec![1, 3], unreadable: vec![2, 4] };
        let said = [("Cat", 0.9), ("Dog", 0.8)];
        let of = |labels: &[i64]| answers(&asked, &said, &Tensor::from_slice(labels));
        let dogs = [answer(1, "Cat", 0.9), answer(2, "Dog", 0.75), answer(3, "Dog", 0.8), answer(4, "Dog", 0.75)];
        assert_eq!(of(&[1, 0, 1, 1])?, dogs);
        assert_eq!(of(&[1, 0, 0, 0])?[1], answer(2, "Cat", 0.75));
        let error = answers(&asked, &said[1..], &Tensor::from_slice(&[0_i64])).expect_err("one is missing").to_string();
        assert!(error.contains("2 test images have 1 predictions"), "{error}");
        Ok(())
    }

    #[test]
    fn what_kaggle_would_refuse_is_not_written() {
        let error = |answers: &[Answer]| to_csv(Competition::Course, answers).expect_err("refused").to_string();
        assert!(error(&[]).contains("no test images"));
        assert!(error(&[answer(1, "Cat", 1.0), answer(1, "Dog", 1.0)]).contains("1 comes before 1"));
        assert!(error(&[answer(2, "Dog", 1.0), answer(1, "Cat", 1.0)]).contains("2 comes before 1"));
        assert!(error(&[answer(1, "cat", 1.0)]).contains("label `cat`"));
        assert!(error(&[answer(1, "Cat", f64::NAN)]).contains("expected a probability"));
    }
}

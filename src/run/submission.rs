//! The files that a competition asks for: predictions for validation and test images.

use super::Run;
use super::predict::inputs;
use super::progress::Progress;
use super::trials::Trained;
use crate::data::Examples;
use crate::data::cats_dogs::{CLASSES, CatsDogs};
use crate::data::photographs::SIDE;
use crate::data::splits::Splits;
use crate::submission::{self, Prediction};
use crate::train::{logits_while, predictions};
use anyhow::{Context, Result};
use tch::Tensor;

/// So many unreadable test images are named; others are only counted.
const FEW: usize = 20;

impl Run {
    /// Writes the predictions of the first trained network for the validation images, `<out>/<name>_validation.csv`, and for the test
    /// images: `<out>/<name>_test.csv` where their labels are known, and `<out>/<name>_submission.csv`, in the form that Kaggle takes, where
    /// they are a competition's.
    pub fn write_submission(&self, trained: &Trained, photographs: &CatsDogs) -> Result<()> {
        let outcome = trained.outcomes.first().context("nothing was trained")?;
        let (side, experiment) = (i64::from(SIDE), &outcome.experiment);
        let model = outcome.network([3, side, side], CLASSES.len() as i64, self.device)?;
        let (_, places) = Splits::places(photographs.data.train.len(), experiment, outcome.seed)?;
        let Examples { images, labels } = photographs.data.train.select(&places);
        let names = Vec::<i64>::try_from(&places)?.into_iter().map(|place| &photographs.names[place as usize]);
        let test = &photographs.test_images;
        let all = (images.size()[0] + test.size()[0]) as u64;
        let progress = Progress::new(all, self.flags.quiet);
        let predict = |images: &Tensor| -> Result<Vec<(&'static str, f64)>> {
            if images.size()[0] == 0 {
                return Ok(Vec::new());
            }
            let logits = logits_while(&*model, &inputs(images, experiment, self.device)?, |count| {
                progress.advance(count as u64);
                progress.say(format!("predictions for {all} validation and test images"), false);
                Ok(())
            })?;
            Ok(predictions(&logits)?.into_iter().map(|(class, confidence)| (CLASSES[class as usize], confidence)).collect())
        };
        write_predictions(self, "_validation.csv", names, &labels, &predict(&images)?)?;

        let predictions = predict(test)?;
        drop(progress);
        if let Some(Examples { labels, .. }) = &photographs.data.test {
            write_predictions(self, "_test.csv", photographs.test_names.iter(), labels, &predictions)?;
        }
        let path = self.output("_submission.csv");
        let Some(asked) = &photographs.asked else {
            let older = if path.exists() { format!("; {} is of an earlier run, on other data", path.display()) } else { String::new() };
            tell!("no submission is written, for these data have no competition's test images (testset/test, test1 or test){older}");
            return Ok(());
        };
        self.write_output("_submission.csv", &submission::to_csv(asked, &predictions, &photographs.data.train.labels)?)?;
        if !asked.unreadable.is_empty() {
            let count = asked.unreadable.len();
            let numbers: Vec<String> = asked.unreadable.iter().take(FEW).map(i64::to_string).collect();
            let others = if count > FEW { format!(" and {} more", count - FEW) } else { String::new() };
            let numbers = numbers.join(", ");
            tell!("test images that cannot be read have the class of most training images in the submission ({count}): {numbers}{others}");
        }
        Ok(())
    }
}

/// Writes the predictions for images whose labels are known, a line for each.
fn write_predictions<'a>(
    run: &Run,
    ending: &str,
    names: impl Iterator<Item = &'a String>,
    labels: &Tensor,
    predictions: &[(&str, f64)],
) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for ((file, label), (prediction, confidence)) in names.zip(Vec::<i64>::try_from(labels)?).zip(predictions) {
        let (label, prediction) = (CLASSES[label as usize].to_owned(), (*prediction).to_owned());
        writer.serialize(Prediction { file: file.clone(), label, prediction, confidence: *confidence })?;
    }
    run.write_output(ending, &writer.into_inner()?)
}

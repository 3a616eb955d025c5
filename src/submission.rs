//! What Kaggle takes: a CSV with the columns `id` and `label`.

use anyhow::{Result, bail, ensure};

/// The submission that says `labels[i]` of test image `ids[i]`.
///
/// # Errors
/// If Kaggle would refuse it: an image without a label or none at all, numbers that do not ascend, a label that is none of `classes`.
pub fn to_csv(ids: &[i64], labels: &[&str], classes: &[&str]) -> Result<Vec<u8>> {
    ensure!(!ids.is_empty(), "there are no test images to submit labels for");
    ensure!(ids.len() == labels.len(), "a submission of {} images has {} labels, expected one for each", ids.len(), labels.len());
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] >= pair[1]) {
        bail!("test image {} comes before {} in the submission, expected ascending numbers, each once", pair[0], pair[1]);
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "label"])?;
    for (id, label) in ids.iter().zip(labels) {
        ensure!(
            classes.contains(label),
            "test image {id} has the label `{label}` in the submission, expected one of {}",
            classes.join(", ")
        );
        writer.write_record([&id.to_string(), *label])?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [&str; 2] = ["Cat", "Dog"];

    #[test]
    fn it_is_as_kaggle_wants_it() -> Result<()> {
        let csv = to_csv(&[1, 2, 4], &["Cat", "Dog", "Cat"], &CLASSES)?;
        assert_eq!(String::from_utf8(csv)?, "id,label\n1,Cat\n2,Dog\n4,Cat\n");
        Ok(())
    }

    #[test]
    fn what_kaggle_would_refuse_is_not_written() {
        let error = |ids: &[i64], labels: &[&str]| to_csv(ids, labels, &CLASSES).expect_err("refused").to_string();
        assert!(error(&[], &[]).contains("no test images"));
        assert!(error(&[1, 2], &["Cat"]).contains("2 images has 1 labels"));
        assert!(error(&[1, 1], &["Cat", "Dog"]).contains("1 comes before 1"));
        assert!(error(&[2, 1], &["Cat", "Dog"]).contains("2 comes before 1"));
        assert!(error(&[1], &["cat"]).contains("label `cat`"));
    }
}

//! The role of each file of an archive (class, part), by its name and its folders.

use super::{CLASSES, Competition};
use crate::data::archive::{Archive, is_zip};
use crate::data::photographs::is_image;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::fmt;

/// The part of the data set that a labelled image belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Train,
    Validation,
    Test,
}

/// The role of a file of the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// With its class.
    Labelled(Part, i64),
    /// To be predicted.
    Numbered(Competition),
}

/// The images of an archive by role.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Part, class and place in the archive of each image with a label, in the order in which they are used.
    pub labelled: Vec<(Part, i64, usize)>,
    /// The numbers and places of the images to be predicted, in the order of the numbers.
    pub numbered: Vec<(i64, usize)>,
    /// The numbers of those that are there, but cannot be listed.
    pub unlisted: Vec<i64>,
    pub competition: Option<Competition>,
    /// Files that could be images of the data set but cannot be read, with the reason.
    pub unread: Vec<(String, String)>,
    /// Unused files, a line for each reason.
    pub notes: Vec<String>,
}

/// The most names that are listed; others are counted.
const FEW: usize = 5;

impl Layout {
    /// Decides it for each file of `archive`. Nothing is decoded.
    ///
    /// # Errors
    /// If two zips inside hold images of the same kind, or test images have two sources or the same number.
    pub fn of(archive: &Archive) -> Result<Layout> {
        let mut layout = Layout::default();
        let names: Vec<&str> = archive.names().collect();
        let mut roles: Vec<Option<Role>> = names.iter().map(|name| role(name)).collect();
        let (mut no_images, mut images) = (Vec::new(), BTreeMap::<&str, usize>::new());
        for (name, _) in names.iter().zip(&roles).filter(|(_, role)| role.is_none()) {
            match folder(name) {
                folder if is_image(name) => *images.entry(folder).or_default() += 1,
                folder if is_data_folder(folder) => no_images.push((*name).to_owned()),
                _ => {}
            }
        }
        layout.notes.extend(note("files whose names are no image's", no_images.len(), no_images));
        let folders = images.iter().map(|(folder, count)| format!("{count} in {}", if folder.is_empty() { "." } else { folder }));
        let neither = "images that are named as neither a cat, a dog nor a numbered test image";
        layout.notes.extend(note(neither, images.values().sum(), folders.collect()));
        let (unread, others) = archive.unread().iter().cloned().partition(|(name, _)| could_be_data(name));
        layout.unread = unread;
        layout.notes.extend(note_unread("what cannot be read", &others));
        layout.notes.extend(keep_one_source(archive, &mut roles)?);

        let is_numbered = |(name, _): &&(String, String)| matches!(role(name), Some(Role::Numbered(_)));
        layout.unlisted = layout.unread.iter().filter(is_numbered).filter_map(|(name, _)| number_of(name)).collect();
        for (place, role) in roles.iter().enumerate() {
            match *role {
                Some(Role::Labelled(part, label)) => layout.labelled.push((part, label, place)),
                Some(Role::Numbered(competition)) => {
                    let known = *layout.competition.get_or_insert(competition);
                    ensure!(known == competition, "it holds test images of {known} and of {competition}; keep one, and remove the others");
                    layout.numbered.extend(number_of(names[place]).map(|number| (number, place)));
                }
                None => {}
            }
        }
        layout.labelled.sort_by_key(|(part, label, place)| (*part, *label, number(names[*place]), *place));
        layout.numbered.sort_unstable();
        for pair in layout.numbered.windows(2) {
            ensure!(pair[0].0 != pair[1].0, "two test images have the number {}", pair[0].0);
        }
        // A folder around all of them does not tell one part from another.
        if layout.labelled.first().map(|(part, ..)| part) == layout.labelled.last().map(|(part, ..)| part) {
            layout.labelled.iter_mut().for_each(|(part, ..)| *part = Part::Train);
        }
        let is_clear = layout.numbered.is_empty() || layout.count(Part::Test) == [0, 0];
        ensure!(is_clear, "it holds test images with labels and others without; keep one kind, and remove the other");
        Ok(layout)
    }

    /// The number of images of each class for `part`.
    pub fn count(&self, part: Part) -> [i64; 2] {
        [0, 1].map(|label| self.labelled.iter().filter(|image| (image.0, image.1) == (part, label)).count() as i64)
    }

    /// # Errors
    /// If there is no image of a class to train on.
    pub fn with_both_classes(self) -> Result<Layout> {
        let unread = note_unread("what could be images, but cannot be read", &self.unread);
        let remarks: String = unread.iter().chain(&self.notes).map(|remark| format!("; {remark}")).collect();
        for (count, class) in self.count(Part::Train).into_iter().zip(CLASSES) {
            ensure!(
                count > 0,
                "it holds no image of a {class} to train on, expected trainset/{class}/1.{class}.jpg, train/{}.1.jpg or PetImages/{class}/1.jpg{remarks}",
                class.to_lowercase(),
            );
        }
        Ok(self)
    }

    /// Whether there is nothing of a data set.
    pub fn is_empty(&self) -> bool {
        self.labelled.is_empty() && self.numbered.is_empty() && self.unread.is_empty()
    }
}

/// Leaves images of a kind that are in a zip and outside of it to the latter, and says so.
fn keep_one_source(archive: &Archive, roles: &mut [Option<Role>]) -> Result<Vec<String>> {
    let mut sources: BTreeMap<Role, BTreeMap<Option<&str>, Vec<usize>>> = BTreeMap::new();
    for (place, role) in roles.iter().enumerate().filter_map(|(place, role)| Some((place, (*role)?))) {
        sources.entry(role).or_default().entry(archive.inner_zip(place)).or_default().push(place);
    }
    let mut notes = Vec::new();
    for (role, mut sources) in sources {
        let is_outside = sources.remove(&None).is_some();
        let zips: Vec<&str> = sources.keys().copied().flatten().collect();
        ensure!(is_outside || zips.len() == 1, "found {} with {role}, expected one; name one of them with --data", zips.join(", "));
        if is_outside {
            for (zip, places) in zips.iter().zip(sources.values()) {
                notes.push(format!("not used: {role} in {zip} ({}), as there are such outside of it", places.len()));
                places.iter().for_each(|place| roles[*place] = None);
            }
        }
    }
    Ok(notes)
}

/// One line on `count` things that are not used, if there are any; the first of `names` are named.
fn note(what: &str, count: usize, names: Vec<String>) -> Option<String> {
    let rest = if names.len() > FEW { format!(" and {} more", names.len() - FEW) } else { String::new() };
    let named = names[..names.len().min(FEW)].join(", ");
    (count > 0).then(|| format!("not used: {what} ({count}): {named}{rest}"))
}

fn note_unread(what: &str, unread: &[(String, String)]) -> Option<String> {
    note(what, unread.len(), unread.iter().map(|(name, reason)| format!("{name} ({reason})")).collect())
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let (part, label) = match self {
            Role::Labelled(Part::Train, label) => ("training", label),
            Role::Labelled(Part::Validation, label) => ("validation", label),
            Role::Labelled(Part::Test, label) => ("test", label),
            Role::Numbered(_) => return formatter.write_str("numbered test images"),
        };
        write!(formatter, "{part} images of a {}", CLASSES[*label as usize])
    }
}

/// The role that the layouts give to a file of this name, in any letters' case.
fn role(name: &str) -> Option<Role> {
    let lower = name.to_lowercase();
    let (folders, file) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let (stem, _) = file.rsplit_once('.').filter(|_| is_image(file))?;
    let nearest = folders.rsplit('/').next().unwrap_or_default();
    let by_name = stem.split_once('.').and_then(|(class_name, _)| class(class_name));
    match class(nearest).or(by_name) {
        Some(label) => Some(Role::Labelled(folders.rsplit('/').find_map(part).unwrap_or(Part::Train), label)),
        None if part(nearest) == Some(Part::Test) && number_of(file).is_some() => Some(Role::Numbered(competition(folders))),
        None => None,
    }
}

fn class(text: &str) -> Option<i64> {
    let singular = text.strip_suffix('s').unwrap_or(text);
    (0..).zip(CLASSES).find(|(_, class)| class.to_lowercase() == singular).map(|(label, _)| label)
}

/// The part that a folder of this name holds: `train`, `trainset`, `training_set` and so on.
fn part(folder: &str) -> Option<Part> {
    match folder.strip_suffix("set").unwrap_or(folder).trim_end_matches(['_', '-']) {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" => Some(Part::Validation),
        "test" | "test1" | "testing" => Some(Part::Test),
        _ => None,
    }
}

/// The competition whose test images are in `folders`.
fn competition(folders: &str) -> Competition {
    if folders.split('/').any(|folder| folder == "testset") {
        Competition::Course
    } else if folders.ends_with("test1") {
        Competition::DogsVsCats
    } else {
        Competition::Redux
    }
}

/// Whether something of this name, were it readable, could hold or be an image of the data set. Any zip could.
fn could_be_data(name: &str) -> bool {
    let lower = name.to_lowercase();
    role(name).is_some() || is_zip(name) || lower.split('/').any(is_data_folder)
}

fn is_data_folder(folder: &str) -> bool {
    let lower = folder.rsplit('/').next().unwrap_or_default().to_lowercase();
    class(&lower).is_some() || part(&lower).is_some()
}

/// The folder that the file `name` is in.
fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The number that is a test image's whole name.
fn number_of(name: &str) -> Option<i64> {
    name.rsplit('/').next()?.rsplit_once('.')?.0.parse().ok()
}

/// The first number in a file's name, so that 2 comes before 10.
fn number(name: &str) -> u64 {
    let file = name.rsplit('/').next().unwrap_or(name);
    let digits: String = file.chars().skip_while(|letter| !letter.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

//! Whatever a file holds, reading it gives a value or a message: no panic, no endless loop, no more memory than it is worth.
//!
//! Each reader is given damaged copies of good files for a second in `cargo test`, and for as long as is asked for by
//! `FUZZ_SECONDS=600 cargo test --test fuzz -- --nocapture`, which ends each with the number of its cases. Where a case fails, proptest
//! shrinks it; one that ends the process is left in `target/fuzz/`.

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ExtendedColorType, ImageFormat, Rgb, RgbImage};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use reproduction::data::archive::Archive;
use reproduction::data::idx;
use reproduction::data::photographs::{decode, decode_all};
use reproduction::experiment::{Experiment, ExperimentFile, Training};
use reproduction::files::sha256_of;
use reproduction::history::{History, Metric, Record, Split};
use reproduction::model::Parameter;
use reproduction::train::{Checkpoints, RunIdentity, State};
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// One thing that goes wrong with a file.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Overwrite(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

/// Bytes that readers are known to stumble over: limits of numbers, and what stands for something in text.
const TELLING: [&[u8]; 24] = [
    &[0; 4],
    &[0xff; 4],
    &[0xff; 8],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0x80, 0, 0, 0],
    b"nan",
    b"-inf",
    b"1e999",
    b"-1",
    b"0",
    b"9223372036854775807",
    b"9223372036854775808",
    b"0.5",
    b"[",
    b"{",
    b"\"",
    b"\n",
    b",",
    b"=",
    b"[variants.x]\n",
    b"training.epochs = 1\n",
    b"\xff\xfe",
    b"../",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![select(&TELLING[..]).prop_map(<[u8]>::to_vec), prop::collection::vec(any::<u8>(), 1..9)]
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    prop_oneof![
        4 => (place(), 0_u8..8).prop_map(|(place, bit)| Damage::Flip(place, bit)),
        4 => (place(), bytes()).prop_map(|(place, bytes)| Damage::Overwrite(place, bytes)),
        4 => (place(), bytes()).prop_map(|(place, bytes)| Damage::Insert(place, bytes)),
        2 => (place(), 1_usize..40).prop_map(|(place, length)| Damage::Remove(place, length)),
        2 => (place(), 1_usize..40).prop_map(|(place, length)| Damage::Repeat(place, length)),
        1 => place().prop_map(Damage::Cut),
    ]
}

/// Copies of `good` files with up to five damages each.
fn damaged(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (select(good), prop::collection::vec(damage(), 0..6)).prop_map(|(mut file, damages)| {
        for damage in damages {
            let at = |place: Index| place.index(file.len() + 1);
            match damage {
                Damage::Flip(place, bit) if !file.is_empty() => {
                    let place = place.index(file.len());
                    file[place] ^= 1 << bit;
                }
                Damage::Overwrite(place, bytes) => {
                    let start = at(place);
                    let end = file.len().min(start + bytes.len());
                    drop(file.splice(start..end, bytes));
                }
                Damage::Insert(place, bytes) => {
                    let start = at(place);
                    drop(file.splice(start..start, bytes));
                }
                Damage::Remove(place, length) => {
                    let start = at(place);
                    let end = file.len().min(start + length);
                    drop(file.drain(start..end));
                }
                Damage::Repeat(place, length) => {
                    let start = at(place);
                    let part = file[start..file.len().min(start + length)].to_vec();
                    drop(file.splice(start..start, part));
                }
                Damage::Cut(place) => file.truncate(at(place)),
                Damage::Flip(..) => {}
            }
        }
        file
    })
}

/// Gives `read` damaged copies of `good` for as long as is asked for. No case may take longer than two seconds.
#[expect(clippy::print_stdout, reason = "the output of a test")]
fn fuzz(name: &str, good: Vec<Vec<u8>>, read: impl Fn(&[u8])) {
    let asked = std::env::var("FUZZ_SECONDS").ok().map(|text| text.parse().expect("FUZZ_SECONDS is a number of seconds"));
    let (duration, started, mut cases) = (Duration::from_secs_f64(asked.unwrap_or(1.0)), Instant::now(), 0_u64);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    let last: Option<PathBuf> = asked.is_some().then(|| folder.join(name));
    if last.is_some() {
        fs::create_dir_all(&folder).expect("made");
    }
    good.iter().for_each(|file| read(file));
    let strategy = damaged(good);
    while started.elapsed() < duration {
        let config = Config { cases: 500, failure_persistence: None, ..Config::default() };
        let run = TestRunner::new(config).run(&strategy, |file| {
            last.iter().for_each(|last| fs::write(last, &file).expect("written"));
            let begun = Instant::now();
            read(&file);
            prop_assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
            Ok(())
        });
        run.unwrap_or_else(|failure| panic!("{name}, after {cases} cases: {failure}"));
        cases += 500;
    }
    println!("{name}: {cases} cases in {:.0} s", started.elapsed().as_secs_f64());
}

fn idx_file() -> Vec<u8> {
    [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4][..], &(0..24).collect::<Vec<u8>>()].concat()
}

fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

#[test]
fn idx_files() {
    fuzz("idx", vec![idx_file(), [&[0, 0, 8, 1, 0, 0, 0, 5][..], b"digit"].concat()], |file| {
        if let Ok(read) = idx::decode(file, 1 << 20) {
            assert_eq!(read.elements.len(), read.shape.iter().product::<usize>());
        }
    });
}

#[test]
fn gzip_files() {
    let large = [&[0, 0, 8, 1, 0, 0, 0x10, 0][..], &[7; 4096]].concat();
    let good = vec![gzip(&idx_file(), Compression::none()), gzip(&idx_file(), Compression::best()), gzip(&large, Compression::best())];
    fuzz("gzip", good, |file| {
        if let Ok(read) = idx::decode(file, 1 << 20) {
            assert!(read.elements.capacity() <= 2 * read.elements.len() + idx::STEP);
        }
    });
}

#[test]
fn experiments() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let files = fs::read_dir(&folder).expect("listed").flatten().map(|entry| entry.path());
    let good = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).map(|path| fs::read(path).expect("read"));
    fuzz("experiment", good.collect(), |file| {
        let text = String::from_utf8_lossy(file);
        if let Ok(read) = ExperimentFile::parse(&text, &folder.join("x.toml")) {
            for name in read.default_variants() {
                let experiment = read.variant(name).expect("checked when it was read");
                assert_eq!(toml::from_str::<Experiment>(&experiment.to_toml()).expect("reads back"), experiment);
            }
        }
    });
}

#[test]
fn histories() {
    let record = |epoch, split, metric, value| Record { epoch, split, metric, value };
    let history = History {
        records: vec![
            record(1, Split::Train, Metric::Loss, 0.25),
            record(1, Split::Validation, Metric::Accuracy, 0.5),
            record(2, Split::Test, Metric::TwiceSoftmaxedLoss, 1.4612),
        ],
    };
    fuzz("history", vec![history.to_csv().expect("written")], |file| {
        if let Ok(read) = History::parse(file, Path::new("history.csv")) {
            assert!(read.epochs() <= 1_000_000, "what is drawn epoch by epoch has an end");
            let again = History::parse(&read.to_csv().expect("written"), Path::new("history.csv")).expect("reads back");
            assert!(
                read.records
                    .iter()
                    .zip(&again.records)
                    .all(|(one, other)| one.value.to_bits() == other.value.to_bits() || one.value.is_nan())
            );
        }
    });
}

#[test]
fn checkpoints() {
    let text = "epochs = 3\nminibatch = 2\nlearning_rate = 0.1\nmomentum = 0.9\norder = \"shuffled\"\nkeep = \"best\"\nearly_stopping = { patience = 3 }";
    let training: Training = toml::from_str(text).expect("training");
    let parameters = |value: f64| {
        let tensor = |size: &[i64]| Tensor::full(size, value, (Kind::Float, Device::Cpu));
        vec![
            Parameter { name: "a, weight".to_owned(), tensor: tensor(&[3, 2]) },
            Parameter { name: "a, bias".to_owned(), tensor: tensor(&[2]) },
        ]
    };
    let scratch = tempfile::tempdir().expect("a folder");
    let good = [0, 1].map(|epoch| {
        let mut state = State::new(&training);
        (state.epoch, state.minibatch) = (epoch, 1);
        let gradients: Vec<Tensor> = parameters(0.5).into_iter().map(|parameter| parameter.tensor).collect();
        state.optimizer.step(&mut parameters(0.0), &gradients);
        let checkpoints = Checkpoints::new(scratch.path().join(format!("good{epoch}")));
        fs::read(checkpoints.write(&state, &parameters(1.0), &RunIdentity::default()).expect("written")).expect("read")
    });
    let folder = scratch.path().join("damaged");
    fs::create_dir_all(&folder).expect("made");
    fuzz("checkpoint", good.to_vec(), |file| {
        // Under the name that its contents deserve, so that they are read; under another one they are not, which is tested elsewhere.
        let path = folder.join(format!("epoch0000001-minibatch000000001-{}.safetensors", &sha256_of(file).expect("hashed")[..16]));
        fs::write(&path, file).expect("written");
        let mut before = parameters(0.0);
        let read = Checkpoints::new(folder.clone()).resume(&training, &mut before, &RunIdentity::default());
        if read.is_err() {
            assert!(before.iter().all(|parameter| parameter.tensor.abs().max().double_value(&[]) == 0.0), "nothing is half-read");
        }
        fs::remove_file(&path).or_else(|_| fs::remove_file(path.with_extension("damaged"))).expect("removed");
    });
}

/// Small images in each format that is read.
fn images() -> Vec<Vec<u8>> {
    let picture = RgbImage::from_fn(20, 12, |x, y| Rgb([x as u8 * 12, y as u8 * 20, 99]));
    let gray = image::imageops::grayscale(&picture);
    let mut files: Vec<Vec<u8>> = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::WebP]
        .into_iter()
        .map(|format| {
            let mut file = Cursor::new(Vec::new());
            picture.write_to(&mut file, format).expect("encoded");
            file.into_inner()
        })
        .collect();
    let mut file = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut file).encode(&gray, 20, 12, ExtendedColorType::L8).expect("encoded");
    files.push(file);
    files
}

#[test]
fn image_files() {
    let mut target = vec![0; 3 * 64 * 64];
    let target = std::cell::RefCell::new(&mut target);
    fuzz("image", images(), |file| drop(decode(file, &mut target.borrow_mut())));
}

#[test]
fn zip_files() {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("archive.zip");
    let zip = |method: CompressionMethod, ending: &str, files: Vec<Vec<u8>>| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (index, file) in files.iter().enumerate() {
            let options = SimpleFileOptions::default().compression_method(method);
            writer.start_file(format!("Cat/{index}.{ending}"), options).expect("started");
            writer.write_all(file).expect("written");
        }
        writer.finish().expect("finished").into_inner()
    };
    let [stored, deflated] = [CompressionMethod::Stored, CompressionMethod::Deflated].map(|method| zip(method, "jpg", images()));
    let nested = zip(CompressionMethod::Stored, "zip", vec![stored.clone(), deflated.clone()]);
    fuzz("zip", vec![stored, deflated, nested], |file| {
        fs::write(&path, file).expect("written");
        if let Ok(archive) = Archive::open_nested(&path) {
            let wanted: Vec<usize> = (0..archive.names().len()).collect();
            assert!(archive.names().all(|name| !name.split('/').any(|part| part == "..") && !name.starts_with('/')));
            let decoded = decode_all(&archive, &wanted, [3, 64, 64], decode);
            assert_eq!(decoded.good.len() + decoded.bad.len(), wanted.len());
        }
    });
}

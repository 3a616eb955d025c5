//! Tensors by name as a file, and the parameters of a trained network as one.

use crate::files::Partial;
use crate::model::Parameter;
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Writes `parameters` by name to `path`, in the format safetensors: whole or not at all.
pub fn save(parameters: &[Parameter], path: &Path) -> Result<()> {
    let named = |Parameter { name, tensor }: &Parameter| (name.clone(), tensor.shallow_clone());
    let tensors: Vec<_> = parameters.iter().map(named).collect();
    let whole = || format!("cannot write the parameters {}; check the right to it and the space left", path.display());
    partial(&tensors, path.parent().unwrap_or(Path::new("."))).and_then(|file| file.rename(path)).with_context(whole)
}

/// Sets `parameters` to what [`save`] wrote to `path`.
///
/// # Errors
/// If the file cannot be read, or is not of a network with these parameters.
pub fn load(parameters: &mut [Parameter], path: &Path) -> Result<()> {
    let saved = read_tensors(path)?;
    let (found, expected) = (saved.tensors.len(), parameters.len());
    ensure!(found <= expected, "{} holds {found} tensors, expected {expected}: it is another network's", path.display());
    for Parameter { name, tensor } in parameters {
        tensor.copy_(saved.shaped(name, tensor)?);
    }
    Ok(())
}

/// Writes `tensors`, in the format safetensors, to a file that is not yet in place.
pub(super) fn partial(tensors: &[(String, Tensor)], folder: &Path) -> Result<Partial> {
    let file = Partial::new_in(folder)?;
    let on_host = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.to_device(Device::Cpu).contiguous());
    Tensor::write_safetensors(&tensors.iter().map(on_host).collect::<Vec<_>>(), file.path())?;
    Ok(file)
}

/// Tensors read from a file.
#[derive(Debug)]
pub(super) struct Saved {
    tensors: HashMap<String, Tensor>,
    pub path: PathBuf,
}

/// Reads a file in the format safetensors.
pub(super) fn read_tensors(path: &Path) -> Result<Saved> {
    let tensors = Tensor::read_safetensors(path).with_context(|| format!("cannot read the parameters {}", path.display()))?;
    Ok(Saved { tensors: tensors.into_iter().collect(), path: path.to_owned() })
}

impl Saved {
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| format!("{} has no `{name}`", self.path.display()))
    }

    /// The tensor `name`, which is to be of the shape and the kind of `like`; in the place of single precision half will do.
    pub fn shaped(&self, name: &str, like: &Tensor) -> Result<&Tensor> {
        let found = self.get(name)?;
        let (size, kind) = (found.size(), found.kind());
        let (expected_size, expected_kind, path) = (like.size(), like.kind(), self.path.display());
        ensure!(size == expected_size, "in {path}, `{name}` has the shape {size:?}, expected {expected_size:?}");
        let is_half = (kind, expected_kind) == (Kind::Half, Kind::Float);
        ensure!(kind == expected_kind || is_half, "in {path}, `{name}` holds {kind:?} values, expected {expected_kind:?}");
        Ok(found)
    }

    /// The bytes of the tensor `name`.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let found = self.get(name)?;
        ensure!(found.kind() == Kind::Uint8, "in {}, `{name}` holds {:?} values, expected bytes", self.path.display(), found.kind());
        Ok(Vec::try_from(found.flatten(0, -1))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(value: f64, size: &[i64]) -> Vec<Parameter> {
        let tensor = |size: &[i64]| Tensor::full(size, value, (Kind::Float, Device::Cpu));
        // Channels-last, as a convolution's.
        let weight = tensor(size).permute([0, 2, 3, 1]);
        vec![Parameter { name: "a".to_owned(), tensor: weight }, Parameter { name: "b".to_owned(), tensor: tensor(&[2]) }]
    }

    #[test]
    fn parameters_survive_and_others_are_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("deep/parameters.safetensors");
        let mut original = parameters(1.0, &[4, 2, 3, 3]);
        original[0].tensor.copy_(&Tensor::arange(72, (Kind::Float, Device::Cpu)).view([4, 3, 3, 2]));
        save(&original, &path)?;
        let mut read = parameters(0.0, &[4, 2, 3, 3]);
        load(&mut read, &path)?;
        assert!(original.iter().zip(&read).all(|(original, read)| original.tensor == read.tensor));
        assert_eq!(std::fs::read_dir(path.parent().expect("a folder"))?.count(), 1, "nothing temporary is left");

        let refused = |read: &mut [Parameter], path: &Path| format!("{:#}", load(read, path).expect_err("refused"));
        assert!(refused(&mut parameters(0.0, &[4, 2, 5, 5]), &path).contains("`a` has the shape [4, 3, 3, 2], expected [4, 5, 5, 2]"));
        assert!(refused(&mut read[..1], &path).contains("holds 2 tensors, expected 1"), "a part of a larger network");
        read[1].name = "c".to_owned();
        assert!(refused(&mut read, &path).contains("has no `c`"));
        std::fs::write(&path, "not tensors")?;
        assert!(refused(&mut read, &path).contains("cannot read the parameters"));
        Ok(())
    }
}

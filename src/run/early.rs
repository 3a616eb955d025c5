//! The end of an example before its figure is drawn.

/// The end of an example that was stopped, or that had only a share of the work to do.
#[derive(Debug)]
pub(super) struct Early {
    pub message: String,
    pub code: u8,
}

impl Early {
    pub fn signal(signal: i32, message: impl Into<String>) -> Early {
        Early { message: message.into(), code: 128 + signal as u8 }
    }
}

impl std::fmt::Display for Early {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Early {}

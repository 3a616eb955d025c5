//! What cannot be missed in a log: that drawn stand-ins take a data set's place.

/// A frame that stands out, and below it the reasons, one a line.
pub(super) fn notice(lines: &[String], reasons: &[String]) -> String {
    let reasons: String = reasons.iter().map(|reason| format!("  {reason}\n")).collect();
    format!("\n{}{reasons}\n", boxed(lines))
}

fn boxed(lines: &[String]) -> String {
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let rule = format!("+{}+\n", "=".repeat(width + 4));
    let rows: String = lines.iter().map(|line| format!("|  {line:width$}  |\n")).collect();
    format!("{rule}{rows}{rule}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_as_wide_as_its_longest_line() {
        let frame = boxed(&["one".to_owned(), "longer, ü".to_owned()]);
        assert!(frame.lines().all(|line| line.chars().count() == "longer, ü".len() - 1 + 6), "{frame}");
        assert!(notice(&["one".to_owned()], &["the reason".to_owned()]).ends_with("+\n  the reason\n\n"));
    }
}

//! Timestamps in the formats of the contracts.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Converts a time to seconds since the Unix epoch; earlier times become 0.
pub(in crate::http) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Formats a time in UTC with milliseconds, as in `2026-01-31T23:59:59.250Z`. Times before 1970
/// become 1970.
pub(in crate::http) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time.max(UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_people_and_programs_read_them() {
        let time = UNIX_EPOCH + Duration::from_millis(1_735_689_599_250);
        assert_eq!(rfc3339(time), "2024-12-31T23:59:59.250Z");
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
    }
}

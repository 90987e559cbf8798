//! Times as the contracts write them.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

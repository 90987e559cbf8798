//! Settings of glibc's allocator.

/// Makes glibc return large buffers to the system as soon as they are freed, so that repeated swaps
/// do not make a server larger than one model.
///
/// By default glibc raises the mmap threshold whenever an mmapped buffer is freed, up to 32 MiB
/// (mallopt(3)), and keeps freed weights in up to eight arenas per core. Resident memory after the
/// 1st and the 50th swap, under traffic: 206 and 475 MB by default, 140 and 149 MB with these
/// settings; mimalloc 311 and 334 MB, jemalloc 204 and 315 MB.
pub(super) fn tune() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "glibc has no other way to say it from within")]
    // SAFETY: mallopt takes two integers and may be called at any time (mallopt(3)); it rejects
    // unknown parameters, which is harmless.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_BYTES);
        libc::mallopt(libc::M_ARENA_MAX, MAX_ARENAS);
    }
}

/// glibc's initial threshold; setting it explicitly disables the dynamic adjustment.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_BYTES: i32 = 128 * 1024;
/// Small buffers come from per-thread caches, so a few arenas are enough.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAX_ARENAS: i32 = 2;

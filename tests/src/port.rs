//! Ports for those who listen: servers, agents, callers.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// What this process holds. Each test is a process, and many run at once: between the choice of a port and the moment when
/// somebody listens at it, seconds later, nobody else is to choose it.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port below those that the kernel hands out, and below those of the sound of calls (16384 and up): nobody's outgoing
/// connection or call takes it while the server is down. Free by TCP and by UDP, and this process's until it ends.
///
/// # Errors
/// When none is free.
pub fn free_port() -> Result<u16> {
    let locks = std::env::temp_dir().join("interline-test-ports");
    std::fs::create_dir_all(&locks)?;
    for _ in 0..100 {
        let random = uuid::Uuid::new_v4().as_u64_pair().1;
        let port = u16::try_from(10_000 + random % 6_000)?;
        let Some(held) = hold(&locks, port) else { continue };
        let at = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            return Ok(port);
        }
    }
    bail!("no free port; is {} ours to write in?", locks.display())
}

/// The lock of a port; the system gives it back when the process ends, however. None: somebody has it.
fn hold(locks: &Path, port: u16) -> Option<File> {
    let file = File::create(locks.join(port.to_string())).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_chosen_twice() {
        let mut ports: Vec<u16> = (0..500).map(|_| free_port().expect("a port")).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 500, "of 6,000");
    }
}

//! Ctrl-C: the first one asks everything to stop, the second one does not ask.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use skep::base::Cancel;

/// Makes SIGINT, SIGTERM and SIGHUP set `cancel`, and end the process if it
/// is set already.
pub fn install(cancel: &Cancel) {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Registration fails only for signals that cannot be handled; these
        // can. Order matters: the shutdown must look before the flag is set.
        let _ = flag::register_conditional_shutdown(signal, 130, cancel.as_flag());
        let _ = flag::register(signal, cancel.as_flag());
    }
}

//! Formats and notations of security events, as functions of plain text. Nothing here knows of jq:
//! the native functions of the engine wrap these.

pub(super) mod cef;
pub(super) mod csv;
pub(super) mod digest;
pub(super) mod kv;
pub(super) mod leef;
pub(super) mod mask;
pub(super) mod net;
pub(super) mod syslog;
mod text;
pub(super) mod time;
pub(super) mod url;

//! What events should look like, and whether they do.

pub mod log_type;

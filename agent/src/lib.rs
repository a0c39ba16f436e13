//! Tamga

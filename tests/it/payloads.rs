//! Placeholder of the file that follows next.

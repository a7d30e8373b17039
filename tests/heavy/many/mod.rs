//! Many nodes on one database: what is promised of them, proven against real servers.

mod proxy;

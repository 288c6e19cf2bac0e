//! Synthetic participants that prove that a meeting works.

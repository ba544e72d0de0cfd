package config

// Version is this program's version (semver.org). CHANGELOG.md and FyneApp.toml
// name the same one; a test sees to it.
const Version = "0.1.0"

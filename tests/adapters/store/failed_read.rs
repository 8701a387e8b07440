//! One failed read of the disk: SQLite may report damage, but the list is not set aside.
//!
//! A preloaded library makes one read fail. It needs a C compiler, as the build does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::damage::fill_list;
use crate::support::store::*;

const LIBRARY_SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_due(int fd) {
    static int reads;
    struct stat list, this;
    const char *path = getenv("KIETOP_TEST_LIST"), *read = getenv("KIETOP_TEST_READ");
    if (!path || !read || stat(path, &list) || fstat(fd, &this) || list.st_ino != this.st_ino)
        return 0;
    return ++reads == atoi(read);
}

#define REPLACE(name, offset)                                                \
    ssize_t name(int fd, void *bytes, size_t count, offset at) {             \
        ssize_t (*real)(int, void *, size_t, offset) = dlsym(RTLD_NEXT, #name); \
        if (is_due(fd)) {                                                    \
            errno = EIO;                                                     \
            return -1;                                                       \
        }                                                                    \
        return real(fd, bytes, count, at);                                   \
    }

REPLACE(pread, off_t)
REPLACE(pread64, off64_t)
"#;

fn compile_library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("read.c"), folder.join("read.so"));
    fs::write(&source, LIBRARY_SOURCE).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    library
}

fn list_with_failed_read(list: &TestList, library: &Path, failing: usize) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kietop"))
        .env_clear()
        .env("HOME", list.dir.path())
        .env("LD_PRELOAD", library)
        .env("KIETOP_TEST_LIST", list.path())
        .env("KIETOP_TEST_READ", failing.to_string())
        .arg("--store")
        .arg(list.path())
        .args(["list", "--json"])
        .output()
        .unwrap()
}

#[test]
fn one_failed_read_is_not_damage() {
    let list = TestList::new();
    fill_list(&list, false);
    let library = compile_library(list.dir.path());
    let expected = list_with_failed_read(&list, &library, 0);
    let bytes = fs::read(list.path()).unwrap();
    let mut failures = 0;

    for failing in 1..=14 {
        let output = list_with_failed_read(&list, &library, failing);

        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            assert_eq!(output.stdout, expected.stdout, "read {failing}");
            assert_eq!(stderr, "", "read {failing}");
        } else {
            failures += 1;
            assert!(
                stderr.contains("disk I/O error"),
                "read {failing}: {stderr}"
            );
        }
        let is_backup = |name: &String| name.contains(".corrupt-");
        assert!(
            !list.files().iter().any(is_backup),
            "read {failing}: {stderr}"
        );
        assert_eq!(fs::read(list.path()).unwrap(), bytes, "read {failing}");
    }
    assert!(failures > 0, "no read failed");
}

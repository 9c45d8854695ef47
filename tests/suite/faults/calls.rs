//! System calls on files, read from a process that stopped at the entry of one (x86-64: syscall(2), "Architecture
//! calling conventions").

use std::fs::File;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};
use nix::libc::{self, user_regs_struct};
use nix::unistd::Pid;

/// What a call does to files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Opens, and creates or empties the file if that is what the flags say.
    Open { creates: bool, truncates: bool },
    /// Bytes at an offset.
    Write { offset: u64, bytes: Vec<u8> },
    /// A new length.
    Truncate { length: u64 },
    /// fsync or fdatasync.
    Sync,
    /// The name becomes the second one; with `RENAME_EXCHANGE`, and the other way round.
    Rename { to: Utf8PathBuf, exchange: bool },
    /// The second name for the same file.
    Link { to: Utf8PathBuf },
    /// A symbolic link with this text.
    Symlink { target: String },
    /// The name goes.
    Unlink,
    /// The directory goes.
    Rmdir,
    /// A directory comes.
    Mkdir,
    /// Owner, mode, times, attributes.
    Attributes,
    /// Nothing: it reads, looks or locks.
    Look,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// As in syscalls(2).
    pub name: &'static str,
    /// What it is about; the first path where there are two.
    pub path: Utf8PathBuf,
    pub effect: Effect,
    /// What it gave: negative for an error. Known once it is done.
    pub result: i64,
}

impl Call {
    /// Whether it can change something.
    pub fn changes(&self) -> bool {
        match self.effect {
            Effect::Look => false,
            Effect::Open { creates, truncates } => creates || truncates,
            _ => true,
        }
    }

    /// For messages: without the root.
    pub fn shown(&self, root: &Utf8Path) -> String {
        format!("{} {}", self.name, self.path.strip_prefix(root).unwrap_or(&self.path))
    }
}

/// The process that made the call.
struct Caller {
    pid: Pid,
    memory: File,
}

impl Caller {
    fn bytes(&self, at: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        self.memory.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    fn number(&self, at: u64) -> u64 {
        u64::from_ne_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    fn text(&self, at: u64) -> String {
        let mut text = Vec::new();
        loop {
            // Never over the end of a page: the next one may not be there.
            let length = 4096 - (at + text.len() as u64) % 4096;
            let more = self.bytes(at + text.len() as u64, length.min(256));
            match more.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    text.extend(&more[..end]);
                    return String::from_utf8_lossy(&text).into_owned();
                }
                None => text.extend(more),
            }
        }
    }

    fn link(&self, name: &str) -> Utf8PathBuf {
        let link = std::fs::read_link(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        Utf8PathBuf::from(link.to_string_lossy().into_owned())
    }

    fn of_descriptor(&self, descriptor: u64) -> Utf8PathBuf {
        self.link(&format!("fd/{}", descriptor_number(descriptor)))
    }

    fn path(&self, directory: u64, at: u64) -> Utf8PathBuf {
        let text = if at == 0 { String::new() } else { self.text(at) };
        let path = Utf8PathBuf::from(text);
        if let Some(number) = path.as_str().strip_prefix("/proc/self/fd/") {
            return self.link(&format!("fd/{number}"));
        }
        if path.is_absolute() {
            return path;
        }
        let base = if descriptor_number(directory) == libc::AT_FDCWD {
            self.link("cwd")
        } else {
            self.of_descriptor(directory)
        };
        if path.as_str().is_empty() { base } else { base.join(path) }
    }

    fn write(&self, descriptor: u64, bytes: Vec<u8>, offset: Option<u64>) -> Effect {
        let number = descriptor_number(descriptor);
        let offset = offset.unwrap_or_else(|| {
            let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{number}", self.pid)).unwrap_or_default();
            let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let flags = field("flags:").and_then(|flags| i32::from_str_radix(flags, 8).ok()).unwrap_or_default();
            if flags & libc::O_APPEND == 0 {
                return field("pos:").and_then(|position| position.parse().ok()).unwrap_or_default();
            }
            std::fs::metadata(format!("/proc/{}/fd/{number}", self.pid)).map_or(0, |metadata| metadata.len())
        });
        Effect::Write { offset, bytes }
    }

    fn vectors(&self, at: u64, count: u64) -> Vec<u8> {
        let vector = |index| (self.number(at + index * 16), self.number(at + index * 16 + 8));
        (0..count).map(vector).flat_map(|(start, length)| self.bytes(start, length)).collect()
    }
}

/// A descriptor or `AT_FDCWD`, as it stands in a register.
fn descriptor_number(register: u64) -> i32 {
    let [a, b, c, d, ..] = register.to_ne_bytes();
    i32::from_ne_bytes([a, b, c, d])
}

fn open(flags: u64) -> Effect {
    let has = |flag: i32| flags & u64::from(flag.cast_unsigned()) == u64::from(flag.cast_unsigned());
    Effect::Open { creates: has(libc::O_CREAT) || has(libc::O_TMPFILE), truncates: has(libc::O_TRUNC) }
}

/// The call that the registers speak of, if it is one on files.
pub fn decode(pid: Pid, registers: &user_regs_struct) -> Option<Call> {
    let caller = Caller { pid, memory: File::open(format!("/proc/{pid}/mem")).ok()? };
    let user_regs_struct { rdi: a, rsi: b, rdx: c, r10: d, .. } = *registers;
    let here = u64::from(libc::AT_FDCWD.cast_unsigned());
    let path = |directory, at| caller.path(directory, at);
    let file = |descriptor| caller.of_descriptor(descriptor);
    let rename = |to, flags: u64| Effect::Rename { to, exchange: flags & u64::from(libc::RENAME_EXCHANGE) != 0 };
    let removal = if c & u64::from(libc::AT_REMOVEDIR.cast_unsigned()) == 0 { Effect::Unlink } else { Effect::Rmdir };
    let (name, path, effect) = match i64::try_from(registers.orig_rax).ok()? {
        libc::SYS_open => ("open", path(here, a), open(b)),
        libc::SYS_openat => ("openat", path(a, b), open(c)),
        libc::SYS_openat2 => ("openat2", path(a, b), open(caller.number(c))),
        libc::SYS_creat => ("creat", path(here, a), Effect::Open { creates: true, truncates: true }),
        libc::SYS_write => ("write", file(a), caller.write(a, caller.bytes(b, c), None)),
        libc::SYS_pwrite64 => ("pwrite64", file(a), caller.write(a, caller.bytes(b, c), Some(d))),
        libc::SYS_writev => ("writev", file(a), caller.write(a, caller.vectors(b, c), None)),
        libc::SYS_ftruncate => ("ftruncate", file(a), Effect::Truncate { length: b }),
        libc::SYS_truncate => ("truncate", path(here, a), Effect::Truncate { length: b }),
        libc::SYS_fsync => ("fsync", file(a), Effect::Sync),
        libc::SYS_fdatasync => ("fdatasync", file(a), Effect::Sync),
        libc::SYS_rename => ("rename", path(here, a), rename(path(here, b), 0)),
        libc::SYS_renameat => ("renameat", path(a, b), rename(path(c, d), 0)),
        libc::SYS_renameat2 => ("renameat2", path(a, b), rename(path(c, d), registers.r8)),
        libc::SYS_link => ("link", path(here, a), Effect::Link { to: path(here, b) }),
        libc::SYS_linkat => ("linkat", path(a, b), Effect::Link { to: path(c, d) }),
        libc::SYS_symlink => ("symlink", path(here, b), Effect::Symlink { target: caller.text(a) }),
        libc::SYS_symlinkat => ("symlinkat", path(b, c), Effect::Symlink { target: caller.text(a) }),
        libc::SYS_unlink => ("unlink", path(here, a), Effect::Unlink),
        libc::SYS_unlinkat => ("unlinkat", path(a, b), removal),
        libc::SYS_rmdir => ("rmdir", path(here, a), Effect::Rmdir),
        libc::SYS_mkdir => ("mkdir", path(here, a), Effect::Mkdir),
        libc::SYS_mkdirat => ("mkdirat", path(a, b), Effect::Mkdir),
        libc::SYS_chmod => ("chmod", path(here, a), Effect::Attributes),
        libc::SYS_fchmod => ("fchmod", file(a), Effect::Attributes),
        libc::SYS_fchmodat => ("fchmodat", path(a, b), Effect::Attributes),
        libc::SYS_fchmodat2 => ("fchmodat2", path(a, b), Effect::Attributes),
        libc::SYS_chown => ("chown", path(here, a), Effect::Attributes),
        libc::SYS_fchown => ("fchown", file(a), Effect::Attributes),
        libc::SYS_fchownat => ("fchownat", path(a, b), Effect::Attributes),
        libc::SYS_utimensat => ("utimensat", path(a, b), Effect::Attributes),
        libc::SYS_fallocate => ("fallocate", file(a), Effect::Attributes),
        libc::SYS_copy_file_range => ("copy_file_range", file(c), Effect::Attributes),
        libc::SYS_sendfile => ("sendfile", file(a), Effect::Attributes),
        libc::SYS_read => ("read", file(a), Effect::Look),
        libc::SYS_pread64 => ("pread64", file(a), Effect::Look),
        libc::SYS_getdents64 => ("getdents64", file(a), Effect::Look),
        libc::SYS_flock => ("flock", file(a), Effect::Look),
        libc::SYS_stat => ("stat", path(here, a), Effect::Look),
        libc::SYS_lstat => ("lstat", path(here, a), Effect::Look),
        libc::SYS_fstat => ("fstat", file(a), Effect::Look),
        libc::SYS_newfstatat => ("newfstatat", path(a, b), Effect::Look),
        libc::SYS_statx => ("statx", path(a, b), Effect::Look),
        libc::SYS_readlink => ("readlink", path(here, a), Effect::Look),
        libc::SYS_readlinkat => ("readlinkat", path(a, b), Effect::Look),
        _ => return None,
    };
    Some(Call { name, path, effect, result: 0 })
}

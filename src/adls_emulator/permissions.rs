//! POSIX permissions and access control lists of a path, in the service's text forms.
//!
//! A path has nine permission bits and the sticky bit; when its list holds more than the three base entries, the whole
//! list is kept as well, and the group bits are its mask.

mod acl;

use crate::service_error::ServiceError;
pub(crate) use acl::{Acl, AclChange};

pub(crate) const STICKY: u16 = 0o1000;
/// What the service applies when a create carries no `x-ms-umask`.
pub(crate) const DEFAULT_UMASK: u16 = 0o027;
pub(crate) const DEFAULT_DIRECTORY_MODE: u16 = 0o777;
pub(crate) const DEFAULT_FILE_MODE: u16 = 0o666;

/// Who may do what: what is stored with each path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessControl {
    pub mode: u16,
    /// Present when the list is more than owner, group and other.
    pub extended: Option<Acl>,
}

impl AccessControl {
    pub(crate) fn from_mode(mode: u16) -> Self {
        Self { mode, extended: None }
    }

    /// chmod: with an extended list the group bits set the mask, and owner and other follow.
    pub(crate) fn set_mode(&mut self, mode: u16) {
        self.mode = mode;
        if let Some(acl) = &mut self.extended {
            acl.apply_mode(mode);
        }
    }

    /// Replaces the whole list; the sticky bit stays.
    pub(crate) fn set_acl(&mut self, acl: Acl) {
        self.mode = (self.mode & STICKY) | acl.mode();
        self.extended = acl.is_extended().then_some(acl);
    }

    /// Takes a list from a request, which may be incomplete.
    pub(crate) fn set_acl_text(&mut self, text: &str, is_directory: bool) -> Result<(), ServiceError> {
        self.set_acl(Acl::parse_over(&self.acl(), text, is_directory)?);
        Ok(())
    }

    /// `rwxr-x--T+`: the form of `x-ms-permissions` in replies.
    pub(crate) fn permissions_text(&self) -> String {
        let mut text = String::with_capacity(10);
        for shift in [6, 3, 0] {
            text.push_str(&triple((self.mode >> shift) & 7));
        }
        if self.mode & STICKY != 0 {
            let last = if text.ends_with('x') { 't' } else { 'T' };
            text.pop();
            text.push(last);
        }
        if self.extended.is_some() {
            text.push('+');
        }
        text
    }

    pub(crate) fn acl(&self) -> Acl {
        self.extended.clone().unwrap_or_else(|| Acl::of_mode(self.mode))
    }

    pub(crate) fn acl_text(&self) -> String {
        match &self.extended {
            Some(acl) => acl.to_string(),
            None => format!(
                "user::{},group::{},other::{}",
                triple(self.mode >> 6 & 7),
                triple(self.mode >> 3 & 7),
                triple(self.mode & 7)
            ),
        }
    }
}

/// What a request says about the access control of a path that it makes.
#[derive(Debug, Clone)]
pub(crate) enum NewAccess {
    /// `x-ms-acl`: exactly this list.
    Exactly(AccessControl),
    /// Under a parent with default entries these count, cut down to the bits that were asked for; elsewhere the bits less
    /// the umask. That the parent's entries stay whole when no bits are asked for is what the service's documentation
    /// says; that asking cuts them down is how POSIX has it.
    Bits { asked: Option<u16>, otherwise: u16, umask: u16 },
}

impl NewAccess {
    pub(crate) fn under(&self, parent: &AccessControl, is_directory: bool) -> AccessControl {
        let (asked, otherwise, umask) = match self {
            Self::Exactly(access) => return access.clone(),
            Self::Bits { asked, otherwise, umask } => (*asked, *otherwise, *umask),
        };
        let Some(acl) = parent.extended.as_ref().and_then(|acl| acl.inherited(is_directory)) else {
            return AccessControl::from_mode(asked.unwrap_or(otherwise) & !umask);
        };
        let mut access = AccessControl::from_mode(0);
        access.set_acl(acl);
        if let Some(asked) = asked {
            access.set_mode((access.mode & asked) | (asked & STICKY));
        }
        access
    }
}

pub(crate) fn triple(bits: u16) -> String {
    let letter = |bit: u16, name: char| if bits & bit != 0 { name } else { '-' };
    [letter(4, 'r'), letter(2, 'w'), letter(1, 'x')].iter().collect()
}

/// What [`triple`] writes.
pub(crate) fn parse_triple(text: &str) -> Option<u16> {
    let mut bits = 0;
    let mut letters = text.chars();
    for (name, bit) in [('r', 4), ('w', 2), ('x', 1)] {
        match letters.next()? {
            '-' => {}
            letter if letter == name => bits |= bit,
            _ => return None,
        }
    }
    letters.next().is_none().then_some(bits)
}

/// `0750`, `750`, `rwxr-x---`, `rwxr-x--t`.
pub(crate) fn parse_permissions(text: &str) -> Result<u16, ServiceError> {
    let invalid =
        || ServiceError::invalid_header("x-ms-permissions", "expected octal such as 0750 or rwxr-x---");
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return parse_octal(text).ok_or_else(invalid);
    }
    let letters: Vec<char> = text.chars().collect();
    if letters.len() != 9 {
        return Err(invalid());
    }
    let mut mode = 0;
    for (place, letter) in letters.iter().enumerate() {
        let bit = 1 << (8 - place);
        mode |= match (place, letter) {
            (_, '-') => 0,
            (0 | 3 | 6, 'r') | (1 | 4 | 7, 'w') | (2 | 5 | 8, 'x') => bit,
            (8, 't') => bit | STICKY,
            (8, 'T') => STICKY,
            _ => return Err(invalid()),
        };
    }
    Ok(mode)
}

pub(crate) fn parse_umask(text: &str) -> Result<u16, ServiceError> {
    let invalid = || ServiceError::invalid_header("x-ms-umask", "expected octal such as 0027");
    parse_octal(text).filter(|umask| *umask <= 0o777).ok_or_else(invalid)
}

fn parse_octal(text: &str) -> Option<u16> {
    if !(3..=4).contains(&text.len()) || !text.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
        return None;
    }
    u16::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o1777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_and_symbolic_forms_agree() {
        for (octal, symbolic) in
            [("0750", "rwxr-x---"), ("1777", "rwxrwxrwt"), ("1770", "rwxrwx--T"), ("640", "rw-r-----")]
        {
            let mode = parse_permissions(octal).unwrap();
            assert_eq!(parse_permissions(symbolic).unwrap(), mode);
            assert_eq!(AccessControl::from_mode(mode).permissions_text(), symbolic);
        }
    }

    #[test]
    fn default_entries_of_the_parent_count_unless_a_list_is_given() {
        let mut parent = AccessControl::from_mode(0o755);
        let list = "user::rwx,group::r-x,other::r-x,default:user::rwx,default:user:bob:rwx,default:group::r-x,default:other::---";
        parent.set_acl(Acl::parse(list, true).unwrap());
        let bits = |asked| NewAccess::Bits { asked, otherwise: 0o666, umask: 0o077 };
        let file = bits(None).under(&parent, false);
        assert_eq!(file.acl_text(), "user::rwx,user:bob:rwx,group::r-x,mask::rwx,other::---");
        let cut = bits(Some(0o1640)).under(&parent, false);
        assert_eq!(cut.acl_text(), "user::rw-,user:bob:rwx,group::r-x,mask::r--,other::---");
        assert_eq!(cut.permissions_text(), "rw-r----T+");
        let directory = bits(None).under(&parent, true);
        assert!(directory.acl_text().ends_with("default:group::r-x,default:mask::rwx,default:other::---"));
        let exactly = NewAccess::Exactly(AccessControl::from_mode(0o640)).under(&parent, true);
        assert_eq!(exactly, AccessControl::from_mode(0o640));
        assert_eq!(bits(Some(0o777)).under(&exactly, false), AccessControl::from_mode(0o700));
    }

    #[test]
    fn default_entries_alone_leave_the_others() {
        let mut access = AccessControl::from_mode(0);
        access.set_acl_text("user::rwx,user:alice:rw-,group::r-x,other::--x", true).unwrap();
        access.set_acl_text("default:user:bob:rwx", true).unwrap();
        assert_eq!(
            access.acl_text(),
            "user::rwx,user:alice:rw-,group::r-x,mask::rwx,other::--x,\
             default:user::rwx,default:user:bob:rwx,default:group::r-x,default:mask::rwx,default:other::--x"
        );
        access.set_acl_text("user::rwx,group::r-x,other::---", true).unwrap();
        assert_eq!(access.acl_text(), "user::rwx,group::r-x,other::---");
    }

    #[test]
    fn base_entries_that_a_list_leaves_out_stay() {
        let after = |text: &str| {
            let mut access = AccessControl::from_mode(0);
            access.set_acl_text("user::rwx,user:alice:rw-,group::r-x,other::--x", true).unwrap();
            access.set_acl_text(text, true).unwrap();
            (access.acl_text(), access.permissions_text())
        };
        let changed = |acl: &str, permissions: &str| (acl.to_owned(), permissions.to_owned());
        assert_eq!(after("other::r--"), changed("user::rwx,group::r-x,other::r--", "rwxr-xr--"));
        assert_eq!(
            after("user:bob:-w-"),
            changed("user::rwx,user:bob:-w-,group::r-x,mask::rwx,other::--x", "rwxrwx--x+")
        );
        assert_eq!(after("mask::--x"), changed("user::rwx,group::r-x,mask::--x,other::--x", "rwx--x--x+"));
        assert_eq!(
            after("group::r--,default:mask::--x"),
            changed(
                "user::rwx,group::r--,other::--x,\
                 default:user::rwx,default:group::r--,default:mask::--x,default:other::--x",
                "rwxr----x+"
            )
        );
        let mut access = AccessControl::from_mode(0o640);
        for text in ["", "user::rw", "mask::r--,mask::r--", "default:mask::r--"] {
            assert!(access.set_acl_text(text, false).is_err(), "{text}");
        }
        assert_eq!(access, AccessControl::from_mode(0o640));
    }

    #[test]
    fn malformed_permissions_are_refused() {
        for text in ["", "9", "0888", "77", "rwx", "rwxrwxrwz", "xwrxwrxwr", "02777", "+750"] {
            assert!(parse_permissions(text).is_err(), "{text}");
        }
        assert!(parse_umask("1000").is_err());
    }

    #[test]
    fn chmod_on_an_extended_list_moves_the_mask() {
        let mut access = AccessControl::from_mode(0o750);
        access.set_acl(Acl::parse("user::rwx,user:alice:rw-,group::r-x,other::---", false).unwrap());
        assert_eq!(access.permissions_text(), "rwxrwx---+");
        access.set_mode(0o640);
        assert_eq!(access.acl_text(), "user::rw-,user:alice:rw-,group::r-x,mask::r--,other::---");
        assert_eq!(access.permissions_text(), "rw-r-----+");
    }
}

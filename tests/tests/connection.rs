//! AUTH, HELLO, CLIENT and the small commands of the connection. The texts are those of redis-server 7.0.15.

use ant_cache_core::service::{Options, Refused};
use ant_cache_core::settings::Settings;
use ant_cache_core::{Cause, limits};
use ant_cache_tests::{Peer, request};

const WRONG: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";

fn guarded() -> Peer {
    let settings = Settings::default();
    settings.set_password(Some(b"sesame".to_vec()));
    Peer::new(Options {
        settings,
        ..Options::default()
    })
}

#[test]
fn nothing_is_served_before_auth() {
    let mut peer = guarded();
    assert_eq!(peer.resp(&["GET", "k"]), NOAUTH);
    assert_eq!(peer.resp(&["PING"]), NOAUTH);
    assert_eq!(peer.resp(&["COMMAND"]), NOAUTH);
    assert_eq!(peer.text("GET k"), "ERROR authentication required");
    assert_eq!(peer.text("PING"), "ERROR authentication required");
    assert_eq!(peer.closed(), None);
    assert_eq!(peer.resp(&["QUIT"]), "+OK\r\n");
    assert_eq!(peer.closed(), Some(Cause::Quit));
}

#[test]
fn auth_over_resp() {
    let mut peer = guarded();
    for wrong in [
        &["AUTH", "x"][..],
        &["AUTH", ""],
        &["AUTH", "sesam"],
        &["AUTH", "sesame\0"],
        &["AUTH", "Sesame"],
        &["AUTH", "default", "x"],
        &["AUTH", "bob", "sesame"],
    ] {
        assert_eq!(peer.resp(wrong), WRONG, "{wrong:?}");
        assert_eq!(peer.resp(&["PING"]), NOAUTH);
    }
    assert_eq!(
        peer.resp(&["AUTH"]),
        "-ERR wrong number of arguments for 'auth' command\r\n"
    );
    assert_eq!(peer.resp(&["AUTH", "a", "b", "c"]), "-ERR syntax error\r\n");
    assert_eq!(peer.resp(&["AUTH", "sesame"]), "+OK\r\n");
    assert_eq!(peer.resp(&["PING"]), "+PONG\r\n");
    // A wrong password later takes nothing away.
    assert_eq!(peer.resp(&["AUTH", "x"]), WRONG);
    assert_eq!(peer.resp(&["PING"]), "+PONG\r\n");
    assert_eq!(guarded().resp(&["AUTH", "default", "sesame"]), "+OK\r\n");
}

#[test]
fn auth_in_text() {
    let mut peer = guarded();
    assert_eq!(peer.text("AUTH"), "ERROR AUTH requires password");
    assert_eq!(peer.text("AUTH wrong"), "ERROR invalid password");
    assert_eq!(peer.text("AUTH bob sesame"), "ERROR invalid password");
    assert_eq!(peer.text("DBSIZE"), "ERROR authentication required");
    assert_eq!(peer.text("auth sesame"), "OK authenticated");
    assert_eq!(peer.text("DBSIZE"), "0");
    assert_eq!(guarded().text("AUTH default sesame"), "OK authenticated");
}

#[test]
fn auth_without_a_password() {
    let mut peer = Peer::default();
    assert_eq!(peer.text("AUTH anything"), "OK no authentication required");
    assert_eq!(
        peer.resp(&["AUTH", "x"]),
        "-ERR AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?\r\n"
    );
    assert_eq!(peer.resp(&["AUTH", "default", "x"]), "+OK\r\n");
    assert_eq!(peer.resp(&["AUTH", "bob", "x"]), WRONG);
}

#[test]
fn requests_behind_auth_in_one_packet_are_served() {
    let mut peer = guarded();
    let bytes = [&request(&["AUTH", "sesame"])[..], b"SET k v\nGET k\n"].concat();
    assert_eq!(peer.send(&bytes), b"+OK\r\nOK\nv\n");
}

#[test]
fn a_stranger_may_not_make_the_server_buffer_much() {
    let value = vec![b'v'; limits::MAX_REQUEST_UNAUTHENTICATED];
    let large = request(&[&b"SET"[..], b"k", &value]);

    let mut peer = guarded();
    let reply = peer.send(&large);
    assert_eq!(peer.closed(), Some(Cause::Protocol));
    assert!(reply.starts_with(b"-ERR "), "{}", reply.escape_ascii());

    let mut peer = guarded();
    let reply = peer.send(&[b"SET k ", &value[..], b"\n"].concat());
    assert_eq!(peer.closed(), Some(Cause::Protocol));
    assert_eq!(reply, b"ERROR request too long\n");

    // Once it has authenticated, the same request is an ordinary one.
    let mut peer = guarded();
    assert_eq!(peer.resp(&["AUTH", "sesame"]), "+OK\r\n");
    assert_eq!(peer.send(&large), b"+OK\r\n");
}

#[test]
fn a_stranger_has_ten_seconds() {
    let mut peer = guarded();
    peer.pass(0);
    assert_eq!(
        peer.wants().deadline,
        Some(Peer::START.plus(limits::AUTH_DEADLINE))
    );
    peer.pass(limits::AUTH_DEADLINE - 1);
    assert_eq!(peer.closed(), None);
    let mut friend = peer.join();
    peer.pass(1);
    assert_eq!(peer.closed(), Some(Cause::Unauthenticated));

    assert_eq!(friend.text("AUTH sesame"), "OK authenticated");
    assert_eq!(friend.wants().deadline, None);
    friend.pass(limits::AUTH_DEADLINE * 10);
    assert_eq!(friend.closed(), None);
}

#[test]
fn hello_tells_about_the_server_in_both_versions() {
    let mut peer = Peer::default();
    let two = "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:1\r\n\
               $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";
    let three = two.replace("*14", "%7").replace(":2", ":3");
    assert_eq!(peer.resp(&["HELLO"]), two);
    assert_eq!(peer.resp(&["HELLO", "3"]), three);
    assert_eq!(peer.resp(&["GET", "missing"]), "_\r\n");
    assert_eq!(peer.resp(&["HELLO"]), three);
    assert_eq!(peer.resp(&["HELLO", "2"]), two);
    assert_eq!(peer.resp(&["GET", "missing"]), "$-1\r\n");
    assert_eq!(
        peer.text("HELLO 3"),
        r#"{"server":"redis","version":"7.0.15","proto":3,"id":1,"mode":"standalone","role":"master","modules":[]}"#
    );
}

#[test]
fn hello_that_is_wrong_changes_no_version() {
    let mut peer = Peer::default();
    for (words, error) in [
        (&["HELLO", "4"][..], "NOPROTO unsupported protocol version"),
        (&["HELLO", "-1"], "NOPROTO unsupported protocol version"),
        (
            &["HELLO", "x"],
            "ERR Protocol version is not an integer or out of range",
        ),
        (
            &["HELLO", ""],
            "ERR Protocol version is not an integer or out of range",
        ),
        (
            &["HELLO", "99999999999999999999"],
            "ERR Protocol version is not an integer or out of range",
        ),
        (
            &["HELLO", "3", "FOO"],
            "ERR Syntax error in HELLO option 'FOO'",
        ),
        (
            &["HELLO", "3", "AUTH", "x"],
            "ERR Syntax error in HELLO option 'AUTH'",
        ),
        (
            &["HELLO", "3", "SETNAME"],
            "ERR Syntax error in HELLO option 'SETNAME'",
        ),
        (
            &["HELLO", "3", "SETNAME", "a b"],
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        (
            &["HELLO", "3", "AUTH", "bob", "x"],
            "WRONGPASS invalid username-password pair or user is disabled.",
        ),
    ] {
        assert_eq!(peer.resp(words), format!("-{error}\r\n"));
    }
    assert_eq!(peer.resp(&["GET", "missing"]), "$-1\r\n");
}

#[test]
fn hello_authenticates() {
    let refusal = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
                   <user> <pass> option can be used to authenticate the client and select the RESP protocol version \
                   at the same time\r\n";
    let mut peer = guarded();
    assert_eq!(peer.resp(&["HELLO"]), refusal);
    assert_eq!(peer.resp(&["HELLO", "3"]), refusal);
    assert_eq!(peer.resp(&["HELLO", "3", "AUTH", "default", "bad"]), WRONG);
    assert_eq!(peer.resp(&["PING"]), NOAUTH);
    let reply = peer.resp(&["hello", "3", "setname", "me", "auth", "default", "sesame"]);
    assert!(reply.starts_with("%7\r\n"), "{reply}");
    assert_eq!(peer.resp(&["CLIENT", "GETNAME"]), "$2\r\nme\r\n");
    // Without a password any is right, as for Redis's default user.
    let reply = Peer::default().resp(&["HELLO", "2", "AUTH", "default", "any"]);
    assert!(reply.starts_with("*14\r\n"), "{reply}");
}

#[test]
fn a_password_set_later_concerns_later_connections() {
    let mut first = Peer::default();
    assert_eq!(
        first.resp(&["CONFIG", "SET", "requirepass", "new"]),
        "+OK\r\n"
    );
    assert_eq!(first.resp(&["PING"]), "+PONG\r\n");
    let mut second = first.join();
    assert_eq!(second.resp(&["PING"]), NOAUTH);
    assert_eq!(second.resp(&["AUTH", "new"]), "+OK\r\n");
    assert_eq!(
        first.resp(&["CONFIG", "GET", "requirepass"]),
        "*2\r\n$11\r\nrequirepass\r\n$3\r\nnew\r\n"
    );
    assert_eq!(first.resp(&["CONFIG", "SET", "requirepass", ""]), "+OK\r\n");
    assert_eq!(first.join().resp(&["PING"]), "+PONG\r\n");
}

#[test]
fn ping_is_what_each_asker_expects() {
    let mut peer = Peer::default();
    assert_eq!(peer.send(b"PING\n"), b"PONG\n");
    assert_eq!(peer.send(b"ping\r\n"), b"+PONG\r\n");
    assert_eq!(peer.send(b"PING hi\r\n"), b"hi\r\n");
    assert_eq!(peer.resp(&["PING"]), "+PONG\r\n");
    assert_eq!(peer.resp(&["PING", "a b"]), "$3\r\na b\r\n");
    assert_eq!(
        peer.resp(&["PING", "a", "b"]),
        "-ERR wrong number of arguments for 'ping' command\r\n"
    );
    assert_eq!(peer.resp(&["ECHO", "x"]), "$1\r\nx\r\n");
    assert_eq!(
        peer.resp(&["ECHO"]),
        "-ERR wrong number of arguments for 'echo' command\r\n"
    );
    assert_eq!(peer.text("ECHO 'a b'"), "a b");
}

#[test]
fn quit_answers_and_closes() {
    for (request, reply) in [
        (&b"QUIT\n"[..], &b"OK\n"[..]),
        (b"QUIT\r\n", b"OK\r\n"),
        (b"*1\r\n$4\r\nQUIT\r\n", b"+OK\r\n"),
    ] {
        let mut peer = Peer::default();
        // What is behind it is not served.
        assert_eq!(peer.send(&[request, b"PING\n"].concat()), reply);
        assert_eq!(peer.closed(), Some(Cause::Quit));
    }
}

#[test]
fn there_is_one_database() {
    let mut peer = Peer::default();
    assert_eq!(peer.resp(&["SELECT", "0"]), "+OK\r\n");
    for (index, error) in [
        ("1", "DB index is out of range"),
        ("-1", "DB index is out of range"),
        ("x", "value is not an integer or out of range"),
        ("00", "value is not an integer or out of range"),
        (
            "99999999999",
            "value is out of range, value must between -2147483648 and 2147483647",
        ),
    ] {
        assert_eq!(peer.resp(&["SELECT", index]), format!("-ERR {error}\r\n"));
    }
    assert_eq!(peer.text("SELECT 0"), "OK");
    assert_eq!(peer.text("SELECT 1"), "ERROR DB index is out of range");
}

#[test]
fn client_knows_itself() {
    let mut peer = Peer::default();
    assert_eq!(peer.resp(&["CLIENT", "ID"]), ":1\r\n");
    assert_eq!(peer.join().resp(&["CLIENT", "ID"]), ":2\r\n");
    assert_eq!(peer.resp(&["CLIENT", "GETNAME"]), "$-1\r\n");
    assert_eq!(peer.resp(&["client", "setname", "me"]), "+OK\r\n");
    assert_eq!(peer.resp(&["CLIENT", "GETNAME"]), "$2\r\nme\r\n");
    for bad in ["a b", "a\nb", "é"] {
        assert_eq!(
            peer.resp(&["CLIENT", "SETNAME", bad]),
            "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
        );
    }
    let long = "n".repeat(1025);
    assert_eq!(
        peer.resp(&["CLIENT", "SETNAME", &long]),
        "-ERR Client names cannot be longer than 1024 bytes.\r\n"
    );
    assert_eq!(
        peer.resp(&["CLIENT", "SETINFO", "lib-ver", &long]),
        "-ERR lib-ver cannot be longer than 1024 bytes.\r\n"
    );
    assert_eq!(
        peer.resp(&["CLIENT", "SETINFO", "LIB-NAME", "lib"]),
        "+OK\r\n"
    );
    assert_eq!(
        peer.resp(&["CLIENT", "SETINFO", "lib-ver", "1.2"]),
        "+OK\r\n"
    );
    peer.pass(2500);
    let info = peer.resp(&["CLIENT", "INFO"]);
    for field in [
        "id=1 ",
        "name=me ",
        "age=2 ",
        "resp=2 ",
        "lib-name=lib ",
        "lib-ver=1.2\n",
    ] {
        assert!(info.contains(field), "{field} in {info}");
    }
    assert_eq!(peer.resp(&["CLIENT", "SETNAME", ""]), "+OK\r\n");
    assert_eq!(peer.resp(&["CLIENT", "GETNAME"]), "$-1\r\n");
}

#[test]
fn client_refuses_as_redis_does() {
    let mut peer = Peer::default();
    for (words, error) in [
        (
            &["CLIENT"][..],
            "wrong number of arguments for 'client' command",
        ),
        (
            &["CLIENT", "NOPE"],
            "unknown subcommand 'NOPE'. Try CLIENT HELP.",
        ),
        (
            &["CLIENT", "nope", "a"],
            "unknown subcommand 'nope'. Try CLIENT HELP.",
        ),
        (
            &["CLIENT", "id", "a"],
            "wrong number of arguments for 'client|id' command",
        ),
        (
            &["CLIENT", "SETNAME"],
            "wrong number of arguments for 'client|setname' command",
        ),
        (
            &["CLIENT", "SETINFO", "LIB-X", "a"],
            "Unrecognized option 'LIB-X'",
        ),
        (
            &["CLIENT", "SETINFO", "LIB-NAME", "a b"],
            "LIB-NAME cannot contain spaces, newlines or special characters.",
        ),
        (&["CLIENT", "NO-EVICT", "x"], "syntax error"),
    ] {
        assert_eq!(peer.resp(words), format!("-ERR {error}\r\n"));
    }
    for accepted in [["CLIENT", "NO-EVICT", "on"], ["CLIENT", "NO-TOUCH", "OFF"]] {
        assert_eq!(peer.resp(&accepted), "+OK\r\n");
    }
    let help = peer.resp(&["CLIENT", "HELP"]);
    assert!(
        help.contains("\r\n+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n")
    );
    assert!(help.contains("\r\n+SETNAME name\r\n"), "{help}");
    let help = peer.text("CLIENT HELP");
    assert!(
        help.starts_with("CLIENT ") && help.ends_with("\nEND"),
        "{help}"
    );
}

#[test]
fn too_many_connections_are_refused_and_counted() {
    let mut peer = Peer::default();
    assert_eq!(peer.resp(&["CONFIG", "SET", "maxclients", "2"]), "+OK\r\n");
    let second = peer.join();
    assert_eq!(peer.service().connect(Peer::START).unwrap_err(), Refused);
    drop(second);
    assert!(peer.service().connect(Peer::START).is_ok());
    assert!(
        peer.resp(&["INFO", "stats"])
            .contains("\r\nrejected_connections:1\r\n")
    );
}

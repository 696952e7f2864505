//! Attacks that send something somewhere: all of them to servers of the test.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use crate::plan::Plan;
use crate::runner::Outcome;
use crate::sys;

const LOCALHOST: &str = "127.0.0.1";

/// What a server has to get to know which attack reached it.
fn sent(id: &str) -> Vec<u8> {
    format!("REDTEAM-SENT-{id}\n").into_bytes()
}

/// `struct sockaddr_in` of the TCP server.
fn address(plan: &Plan) -> [u8; 16] {
    let port = (plan.number("tcp") as u16).to_be_bytes();
    let mut address = [0u8; 16];
    address[..2].copy_from_slice(&2u16.to_ne_bytes());
    address[2..4].copy_from_slice(&port);
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    address
}

pub fn socket(family: i32, kind: i32, protocol: i32) -> Outcome {
    sys::done(unsafe { sys::socket(family, kind, protocol) })?;
    Ok(String::new())
}

pub fn tcp(plan: &Plan) -> Outcome {
    let mut stream = TcpStream::connect((LOCALHOST, plan.number("tcp") as u16))?;
    stream.write_all(&sent("tcp"))?;
    Ok(String::new())
}

pub fn udp(plan: &Plan) -> Outcome {
    let socket = UdpSocket::bind((LOCALHOST, 0))?;
    socket.send_to(&sent("udp"), (LOCALHOST, plan.number("udp") as u16))?;
    Ok(String::new())
}

/// A datagram without bind, as a resolver sends it: a question whose name is the secret.
pub fn dns(plan: &Plan) -> Outcome {
    let socket = sys::done(unsafe { sys::socket(2, 2, 0) })? as i32;
    let mut address = address(plan);
    address[2..4].copy_from_slice(&(plan.number("udp") as u16).to_be_bytes());
    let text = sent("dns");
    let sent = unsafe {
        sys::sendto(socket, text.as_ptr().cast(), text.len(), 0, address.as_ptr().cast(), 16)
    };
    sys::done(sent as i64)?;
    Ok(String::new())
}

pub fn fast_open(plan: &Plan) -> Outcome {
    let socket = sys::done(unsafe { sys::socket(2, 1, 0) })? as i32;
    let (address, text) = (address(plan), sent("tcp-fast-open"));
    let sent = unsafe {
        let to = address.as_ptr().cast();
        sys::sendto(socket, text.as_ptr().cast(), text.len(), 0x2000_0000, to, 16)
    };
    sys::done(sent as i64)?;
    Ok(String::new())
}

pub fn mptcp(plan: &Plan) -> Outcome {
    let socket = sys::done(unsafe { sys::socket(2, 1, 262) })? as i32;
    let (address, text) = (address(plan), sent("mptcp"));
    unsafe {
        sys::done(sys::connect(socket, address.as_ptr().cast(), 16))?;
        sys::done(sys::write(socket, text.as_ptr().cast(), text.len()) as i64)?;
    }
    Ok(String::new())
}

/// Wait for others to call: a way in for commands.
pub fn listen(_: &Plan) -> Outcome {
    let socket = sys::done(unsafe { sys::socket(2, 1, 0) })? as i32;
    let mut address = [0u8; 16];
    address[..2].copy_from_slice(&2u16.to_ne_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    unsafe {
        sys::done(sys::bind(socket, address.as_ptr().cast(), 16))?;
        sys::done(sys::listen(socket, 1))?;
    }
    Ok(String::new())
}

pub fn unix(path: &str, id: &str) -> Outcome {
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(&sent(id))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut answer = [0u8; 1];
    let _ = stream.read(&mut answer); // It has been taken when the server hangs up.
    Ok(String::new())
}

pub fn abstract_socket(plan: &Plan) -> Outcome {
    let socket = sys::done(unsafe { sys::socket(1, 1, 0) })? as i32;
    let (address, length) = unix_address(&format!("\0{}", plan.get("abstract")));
    let text = sent("abstract-socket");
    unsafe {
        sys::done(sys::connect(socket, address.as_ptr().cast(), length))?;
        sys::done(sys::write(socket, text.as_ptr().cast(), text.len()) as i64)?;
    }
    Ok(String::new())
}

pub fn unix_datagram(plan: &Plan) -> Outcome {
    let socket = UnixDatagram::unbound()?;
    socket.send_to(&sent("unix-datagram"), plan.get("datagram"))?;
    Ok(String::new())
}

/// Get an open file from somebody outside.
pub fn receive_descriptor(plan: &Plan) -> Outcome {
    let socket = sys::done(unsafe { sys::socket(1, 1, 0) })? as i32;
    let (address, length) = unix_address(plan.get("giver"));
    sys::done(unsafe { sys::connect(socket, address.as_ptr().cast(), length) })?;
    // `struct msghdr` with one buffer and room for one descriptor (cmsg(3)).
    let mut byte = [0u8; 8];
    let mut control = [0u64; 8];
    let buffer = [byte.as_mut_ptr() as u64, 1];
    let mut message = [0u64; 7];
    message[2] = buffer.as_ptr() as u64;
    message[3] = 1;
    message[4] = control.as_mut_ptr() as u64;
    message[5] = 64;
    sys::done(unsafe { sys::recvmsg(socket, message.as_mut_ptr().cast(), 0) } as i64)?;
    let descriptor = control[2] as u32 as i32;
    Ok(sys::text(descriptor)?)
}

fn unix_address(path: &str) -> (Vec<u8>, u32) {
    let mut address = 1u16.to_ne_bytes().to_vec();
    address.extend(path.as_bytes());
    let length = address.len() as u32 + u32::from(!path.starts_with('\0'));
    address.resize(110, 0);
    (address, length)
}

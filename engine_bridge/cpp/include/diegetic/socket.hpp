// TCP without waiting, on POSIX and on Windows: a socket, a bell that wakes its thread, and one
// wait for both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#if defined(_MSC_VER)
#pragma comment(lib, "Ws2_32.lib")
#endif
#else
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace diegetic {

namespace net {

#if defined(_WIN32)
using Handle = SOCKET;
using Length = int;
using Poll = WSAPOLLFD;
constexpr Handle NONE = INVALID_SOCKET;
constexpr int SEND_FLAGS = 0;

inline bool must_wait() {
    const int error = WSAGetLastError();
    return error == WSAEWOULDBLOCK || error == WSAEINPROGRESS;
}
inline void close(Handle handle) { closesocket(handle); }
inline void finish_sending(Handle handle) { shutdown(handle, SD_SEND); }
inline bool set_non_blocking(Handle handle) {
    u_long yes = 1;
    return ioctlsocket(handle, FIONBIO, &yes) == 0;
}
inline void poll(Poll* sockets, unsigned count, int ms) { WSAPoll(sockets, count, ms); }
#else
using Handle = int;
using Length = std::size_t;
using Poll = pollfd;
constexpr Handle NONE = -1;
#if defined(MSG_NOSIGNAL)
constexpr int SEND_FLAGS = MSG_NOSIGNAL;
#else
constexpr int SEND_FLAGS = 0;
#endif

inline bool must_wait() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINPROGRESS || errno == EINTR;
}
inline void close(Handle handle) { ::close(handle); }
inline void finish_sending(Handle handle) { shutdown(handle, SHUT_WR); }
inline bool set_non_blocking(Handle handle) {
    fcntl(handle, F_SETFD, FD_CLOEXEC);
    return fcntl(handle, F_SETFL, fcntl(handle, F_GETFL) | O_NONBLOCK) == 0;
}
inline void poll(Poll* sockets, unsigned count, int ms) { ::poll(sockets, count, ms); }
#endif

inline void set_option(Handle handle, int level, int name) {
    const int yes = 1;
    setsockopt(handle, level, name, reinterpret_cast<const char*>(&yes), sizeof yes);
}

/// Sockets work while one of these lives.
class Network {
public:
#if defined(_WIN32)
    Network() {
        WSADATA about;
        WSAStartup(MAKEWORD(2, 2), &about);
    }
    ~Network() { WSACleanup(); }
#else
    Network() {}
#endif
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;
};

}  // namespace net

struct Address {
    sockaddr_storage at;
    socklen_t length;

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&at); }
};

/// Read "tcp://127.0.0.1:7776", "tcp://[::1]:7776" or "tcp://localhost:7776". Other names are not
/// looked up: that may take many seconds, and could hold up a game that quits.
inline std::optional<Address> parse_endpoint(std::string_view endpoint) {
    constexpr std::string_view scheme = "tcp://";
    const std::size_t colon = endpoint.rfind(':');
    if (endpoint.substr(0, scheme.size()) != scheme || colon < scheme.size()) return std::nullopt;
    std::string host(endpoint.substr(scheme.size(), colon - scheme.size()));
    const std::string port(endpoint.substr(colon + 1));
    if (host == "localhost") host = "127.0.0.1";
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    addrinfo wanted;
    std::memset(&wanted, 0, sizeof wanted);
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (host.empty() || port.empty()) return std::nullopt;
    if (getaddrinfo(host.c_str(), port.c_str(), &wanted, &found) != 0) return std::nullopt;
    Address address;
    std::memset(&address, 0, sizeof address);
    std::memcpy(&address.at, found->ai_addr, static_cast<std::size_t>(found->ai_addrlen));
    address.length = static_cast<socklen_t>(found->ai_addrlen);
    freeaddrinfo(found);
    return address;
}

/// A connection that never waits. `send` and `receive` return how many bytes, 0 if it would have to
/// wait, -1 if the connection is gone.
class Socket {
public:
    Socket() = default;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() { close(); }

    bool is_open() const { return handle_ != net::NONE; }
    net::Handle handle() const { return handle_; }

    /// Begin to connect; false: it has failed already.
    bool connect(const Address& address) {
        close();
        handle_ = ::socket(address.at.ss_family, SOCK_STREAM, 0);
        if (!is_open()) return false;
        if (!net::set_non_blocking(handle_)) return false;
        net::set_option(handle_, IPPROTO_TCP, TCP_NODELAY);
#if defined(SO_NOSIGPIPE)
        net::set_option(handle_, SOL_SOCKET, SO_NOSIGPIPE);
#endif
        return ::connect(handle_, address.get(), address.length) == 0 || net::must_wait();
    }

    /// Once it can be written to: true if it got through.
    bool connected() const {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(handle_, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &size);
        return error == 0;
    }

    std::ptrdiff_t send(const std::uint8_t* data, std::size_t size) {
        const auto sent = ::send(handle_, reinterpret_cast<const char*>(data),
                                 static_cast<net::Length>(size), net::SEND_FLAGS);
        return sent >= 0 ? static_cast<std::ptrdiff_t>(sent) : net::must_wait() ? 0 : -1;
    }

    std::ptrdiff_t receive(std::uint8_t* data, std::size_t size) {
        const auto got = ::recv(handle_, reinterpret_cast<char*>(data),
                                static_cast<net::Length>(size), 0);
        if (got == 0) return -1;
        return got > 0 ? static_cast<std::ptrdiff_t>(got) : net::must_wait() ? 0 : -1;
    }

    /// Nothing more will be sent; the other side may still.
    void finish_sending() { net::finish_sending(handle_); }

    void close() {
        if (is_open()) net::close(handle_);
        handle_ = net::NONE;
    }

private:
    net::Handle handle_ = net::NONE;
};

/// A bell that ends a wait of another thread: a datagram socket connected to itself.
class Bell {
public:
    Bell() : handle_(::socket(AF_INET, SOCK_DGRAM, 0)) {
        sockaddr_in here;
        std::memset(&here, 0, sizeof here);
        here.sin_family = AF_INET;
        here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* address = reinterpret_cast<sockaddr*>(&here);
        socklen_t length = sizeof here;
        works_ = handle_ != net::NONE && ::bind(handle_, address, length) == 0 &&
                 getsockname(handle_, address, &length) == 0 &&
                 ::connect(handle_, address, length) == 0 && net::set_non_blocking(handle_);
    }
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;
    ~Bell() {
        if (handle_ != net::NONE) net::close(handle_);
    }

    bool works() const { return works_; }
    net::Handle handle() const { return handle_; }

    /// Any thread may ring.
    void ring() {
        const char note = 0;
        if (works_) ::send(handle_, &note, 1, net::SEND_FLAGS);
    }

    /// Return true if it was rung.
    bool hush() {
        char notes[16];
        bool rung = false;
        while (works_ && ::recv(handle_, notes, sizeof notes, 0) > 0) rung = true;
        return rung;
    }

private:
    net::Handle handle_;
    bool works_ = false;
};

/// Sleep until the bell rings, `socket` can be read (or written, if `to_write`), or `seconds` are
/// over; return true if it can be written, or has failed.
inline bool wait(const Socket& socket, bool to_write, const Bell& bell, double seconds) {
    net::Poll sockets[2];
    std::memset(sockets, 0, sizeof sockets);
    unsigned count = 0;
    if (socket.is_open()) {
        sockets[count].fd = socket.handle();
        sockets[count++].events = static_cast<short>(POLLIN | (to_write ? POLLOUT : 0));
    }
    if (bell.works()) {
        sockets[count].fd = bell.handle();
        sockets[count++].events = POLLIN;
    } else if (seconds > 0.01) {
        seconds = 0.01;
    }
    net::poll(sockets, count, seconds > 0 ? static_cast<int>(seconds * 1000) + 1 : 0);
    return socket.is_open() && (sockets[0].revents & (POLLOUT | POLLERR | POLLHUP)) != 0;
}

}  // namespace diegetic

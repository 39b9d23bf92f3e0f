// The client without a server, with a mad one, and in the hands of a careless game.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "check.hpp"
#include "diegetic/client.hpp"

using namespace diegetic;

namespace {

/// The lines that a client logs.
struct Lines {
    std::mutex mutex;
    std::vector<std::string> all;

    Log log() {
        return [this](const std::string& line) {
            const std::lock_guard<std::mutex> lock(mutex);
            all.push_back(line);
        };
    }

    std::size_t count() {
        const std::lock_guard<std::mutex> lock(mutex);
        return all.size();
    }
};

/// A port at which nobody listens, until `listen`.
class Port {
public:
    Port() : handle_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in here;
        std::memset(&here, 0, sizeof here);
        here.sin_family = AF_INET;
        here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof here;
        auto* address = reinterpret_cast<sockaddr*>(&here);
        CHECK(::bind(handle_, address, length) == 0);
        CHECK(getsockname(handle_, address, &length) == 0);
        endpoint = "tcp://127.0.0.1:" + std::to_string(ntohs(here.sin_port));
    }
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;
    ~Port() { net::close(handle_); }

    void listen() { CHECK(::listen(handle_, 8) == 0); }

    /// Wait for a connection, say `bytes`, and hang up.
    void say_and_hang_up(const Bytes& bytes) {
        const net::Handle peer = ::accept(handle_, nullptr, nullptr);
        ::send(peer, reinterpret_cast<const char*>(bytes.data()),
               static_cast<net::Length>(bytes.size()), net::SEND_FLAGS);
        net::close(peer);
    }

    std::string endpoint;

private:
    net::Network network_;
    net::Handle handle_;
};

void until(const std::function<bool()>& came) {
    for (int k = 0; k < 12000 && !came(); ++k) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    CHECK(came());
}

std::vector<std::string> errors(Client& client) {
    std::vector<std::string> fields;
    for (const Reply& reply : client.poll()) {
        if (const auto* error = std::get_if<Error>(&reply)) fields.push_back(error->field);
    }
    return fields;
}

Settings settings(const std::string& endpoint, Lines& lines) {
    Settings settings;
    settings.endpoint = endpoint;
    settings.parameters = {{"threat"}};
    settings.log = lines.log();
    return settings;
}

void without_a_server_everything_is_kept_and_one_line_logged() {
    Lines lines;
    Port port;
    Client client(settings(port.endpoint, lines));
    const std::vector<std::uint8_t> pixels(128 * 72 * 3);
    std::set<std::uint64_t> ids;
    for (int k = 0; k < 1000; ++k) {
        client.set_prompt("prompt " + std::to_string(k));
        client.set_parameter("threat", k / 1000.0);
        ids.insert(client.post_event("shot"));
        client.push_frame({128, 72, pixels.data(), pixels.size()});
    }
    until([&] { return lines.count() > 0; });
    float sound[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    client.read_pcm(sound, 4);
    for (const float sample : sound) CHECK(sample == 0);
    CHECK(client.poll().empty());
    CHECK(ids.size() == 1000);
    CHECK(client.stats().events_unacked == 1000);
    CHECK(client.stats().frames_dropped == 999);
    CHECK(client.stats().sent == 0);
    client.close();
    client.close();
    client.set_prompt("to nobody");
    CHECK(lines.count() == 1);
}

void an_event_without_a_server_is_given_up_by_itself() {
    Lines lines;
    Port port;
    std::atomic<double> now{5};
    Settings about = settings(port.endpoint, lines);
    about.clock = [&] { return now.load(); };
    Client client(about);
    client.post_event("shot");
    EventOptions later;
    later.at = 20.0;
    client.post_event("shot", later);
    now = 15.5;
    until([&] { return client.stats().events_expired == 1; });
    CHECK(client.stats().events_unacked == 1);
}

void wrong_arguments_come_out_of_poll() {
    Lines lines;
    Port port;
    Client client(settings(port.endpoint, lines));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::uint8_t pixels[10] = {};
    EventOptions loud, late;
    loud.gain_db = 30;
    late.at = steady_seconds() + 120;
    const std::vector<std::pair<std::function<void()>, std::string>> cases = {
        {[&] { client.set_prompt(std::string(5000, 'x')); }, "text"},
        {[&] { client.set_prompt({{"rain", 0}}); }, "weight"},
        {[&] { client.set_parameter("threat", nan); }, "value"},
        {[&] { client.set_parameter("threat", 0, -1); }, "ramp"},
        {[&] { client.set_switch("surface", ""); }, "value"},
        {[&] { client.post_event("shot", loud); }, "gain_db"},
        {[&] { client.post_event("shot", late); }, "time"},
        {[&] { client.set_bus("beds", {}); }, "gain_db"},
        {[&] { client.set_loudness(nan); }, "lufs"},
        {[&] { client.set_loudness(5); }, "lufs"},
        {[&] { client.set_loudness(-200); }, "lufs"},
        {[&] { client.push_snapshot("", 1); }, "name"},
        {[&] { client.set_listener({0, 0, 0}, {0, 0, 0}); }, "forward"},
        {[&] { client.push_frame({2, 2, pixels, sizeof pixels}); }, "pixels"},
    };
    for (const auto& [wrong, field] : cases) {
        wrong();
        CHECK((errors(client) == std::vector<std::string>{field}));
        wrong();  // told again, and logged no more
        CHECK((errors(client) == std::vector<std::string>{field}));
    }
    CHECK(client.stats().errors == 2 * cases.size());
    CHECK(client.stats().events_unacked == 0);
    until([&] { return lines.count() == 1 + 10; });  // some fields came more than once
}

void a_client_that_cannot_start_does_no_harm() {
    for (const char* endpoint : {"", "nowhere", "tcp://", "tcp://127.0.0.1", "ipc:///tmp/x",
                                 "tcp://no.such.name:7776", "tcp://127.0.0.1:http"}) {
        Lines lines;
        Client client(settings(endpoint, lines));
        CHECK((errors(client) == std::vector<std::string>{"endpoint"}));
        client.post_event("shot");
        CHECK(!client.stats().connected);
        CHECK(lines.count() == 1);
    }
    Lines lines;
    Settings odd = settings("tcp://127.0.0.1:7776", lines);
    odd.parameters = {{"threat", 1, 0}};
    Client client(odd);
    CHECK((errors(client) == std::vector<std::string>{"parameters[0].maximum"}));
    client.post_event("shot");
}

void a_server_that_talks_rubbish_is_left_and_tried_again() {
    Bytes greeting;
    Zmtp::greet(greeting);
    Bytes flood = greeting;
    flood.resize(100000, 0xFF);
    Lines lines;
    Port port;
    port.listen();
    Client client(settings(port.endpoint, lines));
    for (const Bytes& bytes : {Bytes{'H', 'T', 'T', 'P', '/', '1'}, Bytes{}, greeting, flood}) {
        port.say_and_hang_up(bytes);
    }
    port.say_and_hang_up({});  // it came again after the last of them
    until([&] { return lines.count() == 1; });
    CHECK(!client.stats().welcomed);
}

void many_threads_may_speak() {
    Lines lines;
    Port port;
    Client client(settings(port.endpoint, lines));
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&] {
            for (int k = 0; k < 500; ++k) {
                client.post_event("shot");
                client.set_parameter("threat", 0.5);
                client.poll();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(client.stats().events_unacked == 2000);
}

}  // namespace

int main() {
    void (*const tests[])() = {
        without_a_server_everything_is_kept_and_one_line_logged,
        an_event_without_a_server_is_given_up_by_itself,
        wrong_arguments_come_out_of_poll,
        a_client_that_cannot_start_does_no_harm,
        a_server_that_talks_rubbish_is_left_and_tried_again,
        many_threads_may_speak,
    };
    for (const auto test : tests) test();
    return verdict("client", std::size(tests));
}

// What is made of whatever comes, and what is never sent: transport, messages, limits.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "check.hpp"
#include "diegetic/replies.hpp"
#include "diegetic/said.hpp"
#include "diegetic/specs.hpp"
#include "diegetic/zmtp.hpp"

using namespace diegetic;

namespace {

constexpr double NAN_ = std::numeric_limits<double>::quiet_NaN();

Bytes ready(const std::string& kind) {
    Bytes body = {5, 'R', 'E', 'A', 'D', 'Y', 11};
    for (const char c : "Socket-Type" + std::string(3, '\0')) body.push_back(std::uint8_t(c));
    body.push_back(std::uint8_t(kind.size()));
    body.insert(body.end(), kind.begin(), kind.end());
    Bytes frame = {4, std::uint8_t(body.size())};
    frame.insert(frame.end(), body.begin(), body.end());
    return frame;
}

Bytes hello_of(const std::string& kind) {
    Bytes bytes;
    Zmtp::greet(bytes);
    const Bytes rest = ready(kind);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    return bytes;
}

void feed(Zmtp& zmtp, const Bytes& bytes) { zmtp.feed(bytes.data(), bytes.size()); }

void torn_bytes_are_put_together() {
    Bytes stream = hello_of("ROUTER"), small = {1, 2, 3}, big(70000, 7), out, message;
    Zmtp::frame(small, stream);
    Zmtp::frame({}, stream);
    Zmtp::frame(big, stream);
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, stream.size()}) {
        Zmtp zmtp("me");
        std::vector<Bytes> got;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            zmtp.feed(stream.data() + at, std::min(step, stream.size() - at));
            while (zmtp.next(message, out)) got.push_back(message);
        }
        CHECK(zmtp.ready() && zmtp.fault().empty());
        CHECK((got == std::vector<Bytes>{small, {}, big}));
    }
}

void the_handshake_names_us_and_a_ping_is_answered() {
    Zmtp zmtp("me");
    Bytes out, message;
    feed(zmtp, hello_of("ROUTER"));
    CHECK(!zmtp.next(message, out));
    const std::string said(out.begin(), out.end());
    CHECK(said.find("Socket-Type") != std::string::npos);
    CHECK(said.find(std::string("DEALER\x08Identity\0\0\0\x02me", 21)) != std::string::npos);
    out.clear();
    feed(zmtp, {4, 9, 4, 'P', 'I', 'N', 'G', 0, 9, 'x', 'y'});
    CHECK(!zmtp.next(message, out));
    CHECK((out == Bytes{4, 7, 4, 'P', 'O', 'N', 'G', 'x', 'y'}));
    CHECK(zmtp.fault().empty());
}

void what_is_no_server_is_left() {
    const Bytes curve = [] {
        Bytes greeting = hello_of("ROUTER");
        greeting[12] = 'C';
        return greeting;
    }();
    const Bytes old = [] {
        Bytes greeting = hello_of("ROUTER");
        greeting[10] = 2;
        return greeting;
    }();
    for (const Bytes& bytes : {Bytes{'H', 'T', 'T', 'P'}, curve, old, hello_of("DEALER"),
                               hello_of("PUB")}) {
        Zmtp zmtp("me");
        Bytes out, message;
        feed(zmtp, bytes);
        CHECK(!zmtp.next(message, out));
        CHECK(!zmtp.fault().empty());
    }
    for (const Bytes& frame : {Bytes{1, 1, 0}, Bytes{8, 1, 0}, Bytes{2, 0, 0, 0, 0, 0, 64, 0, 1},
                               Bytes{2, 255, 255, 255, 255, 255, 255, 255, 255}, Bytes{4, 0},
                               Bytes{4, 2, 9, 'x'}, Bytes{4, 6, 5, 'E', 'R', 'R', 'O', 'R'}}) {
        Zmtp zmtp("me");
        Bytes out, message;
        feed(zmtp, hello_of("ROUTER"));
        feed(zmtp, frame);
        CHECK(!zmtp.next(message, out));
        CHECK(!zmtp.fault().empty());
    }
}

void every_cut_reply_is_none() {
    Bytes whole;
    Writer writer(whole);
    writer.map(4);
    writer.text("odd");
    writer.map(1);
    writer.array(2);
    writer.nil();
    writer.boolean(true);
    writer.number(1);
    writer.text("type");
    writer.text("pong");
    writer.text("time");
    writer.integer(7);
    writer.text("server_time");
    writer.number(0.5);
    CHECK(decode_reply(whole).has_value());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CHECK(!decode_reply(Bytes(whole.begin(), whole.begin() + std::ptrdiff_t(size))));
    }
    whole.push_back(0xC0);
    CHECK(!decode_reply(whole));
}

void a_count_that_lies_costs_no_memory() {
    Bytes ack = {0x82, 0xA4, 't', 'y', 'p', 'e', 0xA3, 'a', 'c', 'k', 0xA6, 'e', 'v', 'e', 'n', 't',
                 's', 0xDD, 255, 255, 255, 255};
    CHECK(!decode_reply(ack));
    CHECK(!decode_reply({0xDF, 255, 255, 255, 255}));
    CHECK(!decode_reply(Bytes(100000, 0x91)));  // arrays in arrays
}

void letters_are_counted_and_other_bytes_refused() {
    CHECK(utf8_length("") == 0);
    CHECK(utf8_length("a\xC3\xA9\xE9\x9B\xA8\xF0\x9F\x94\x94") == 4);
    for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80",
                            "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xFF", "\xC3\x28"}) {
        CHECK(utf8_length(bad) == -1);
    }
}

template <typename Message>
std::string refused(const Message& message) {
    Bytes out;
    const std::optional<Error> problem = encode(message, out);
    return problem ? problem->field : "";
}

void what_is_out_of_its_limits_is_refused_by_name() {
    const std::string name65(65, 'x'), letters64(64 * 2, '\xC3');
    const std::uint8_t pixels[16] = {};
    CHECK(refused(Parameter{"", 0, 0}) == "name");
    CHECK(refused(Parameter{name65, 0, 0}) == "name");
    CHECK(refused(Parameter{letters64, 0, 0}) == "name");
    CHECK(refused(Parameter{"x", NAN_, 0}) == "value");
    CHECK(refused(Parameter{"x", 2e9, 0}) == "value");
    CHECK(refused(Parameter{"x", 0, -1}) == "time");
    CHECK(refused(Parameter{"x", 0, 0, 61}) == "ramp");
    CHECK(refused(Parameter{"x", 0, 0, NAN_}) == "ramp");
    CHECK(refused(Prompt{std::string(2001, 'x'), 0}) == "text");
    CHECK(refused(Prompt{"x", 0, 0.5}) == "guidance");
    CHECK(refused(Prompt{"x", 0, {}, 0}) == "weight");
    CHECK(refused(Prompt{"x", 0, {}, 1, {{"x", 1}}}) == "blend");
    CHECK(refused(Prompt{"x", 0, {}, 1, {{"y", 1}, {"y", 1}}}) == "blend");
    CHECK(refused(Prompt{"x", 0, {}, 1, {{"a", 1}, {"b", 1}, {"c", 1}}}) == "blend");
    CHECK(refused(Prompt{"", 0, {}, 1, {{"y", 1}}}) == "text");
    CHECK(refused(Layers{{Layer::foley, Layer::foley, Layer::foley, Layer::foley}, 0}) == "layers");
    CHECK(refused(Event{1, "x", 0, 25}) == "gain_db");
    CHECK(refused(Event{1, "x", 0, 0, Vector{0, 2e6, 0}}) == "position");
    CHECK(refused(Event{1, "x", 0, 0, {}, 1.5}) == "occlusion");
    CHECK(refused(Event{1, "x", 0, 0, {}, 0, name65}) == "bus");
    CHECK(refused(Event{std::uint64_t{1} << 53, "x", 0}) == "id");
    CHECK(refused(Bus{"x", 0}) == "gain_db");
    CHECK(refused(Snapshot<true>{"x", 0, -1}) == "fade");
    CHECK(refused(Listener{{0, 0, NAN_}, 0}) == "position");
    CHECK(refused(Listener{{}, 0, {0, 0, 0}}) == "forward");
    CHECK(refused(Listener{{}, 0, {0, 3, 0}}) == "up");
    CHECK(refused(Listener{{}, 0, {0, 0, -5}, {0, 2, 0}}) == "");
    CHECK(refused(Frame{2, 2, pixels, 10}) == "pixels");
    CHECK(refused(Frame{2, 2, pixels, 12}) == "");
    CHECK(refused(Frame{2, 2, nullptr, 12}) == "pixels");
    CHECK(refused(Frame{0, 2, pixels, 12}) == "width");
    CHECK(refused(Frame{2, 5000, pixels, 12}) == "height");
    CHECK(refused(Frame{-2147483647, -2147483647, pixels, 12}) == "width");
    CHECK(refused(Frame{2, 2, pixels, 14, PixelFormat::rgb24, 8}) == "");
    CHECK(refused(Frame{2, 2, pixels, 12, PixelFormat::rgb24, 5}) == "stride");
    CHECK(refused(Frame{2, 2, pixels, 12, PixelFormat::rgb24, -1}) == "stride");
}

void a_declaration_is_refused_by_its_place() {
    Hello hello;
    hello.parameters = {{"a"}, {"b", 1, 0}};
    CHECK(refused(hello) == "parameters[1].maximum");
    hello.parameters = {{"a", 0, 1, 2}};
    CHECK(refused(hello) == "parameters[0].default");
    hello.parameters.clear();
    hello.switches = {{"surface", {}}};
    CHECK(refused(hello) == "switches[0].values");
    hello.switches.clear();
    hello.buses = {{"voices", "events", {{"beds", 3}}}};
    CHECK(refused(hello) == "buses[0].ducks[0].gain_db");
    hello.buses.clear();
    hello.pcm = PcmSpec{48000, 63};
    CHECK(refused(hello) == "pcm.frames");
    hello.pcm = PcmSpec{};
    CHECK(refused(hello) == "");
}

}  // namespace

int main() {
    void (*const tests[])() = {
        torn_bytes_are_put_together,
        the_handshake_names_us_and_a_ping_is_answered,
        what_is_no_server_is_left,
        every_cut_reply_is_none,
        a_count_that_lies_costs_no_memory,
        letters_are_counted_and_other_bytes_refused,
        what_is_out_of_its_limits_is_refused_by_name,
        a_declaration_is_refused_by_its_place,
    };
    for (const auto test : tests) test();
    return verdict("wire", std::size(tests));
}

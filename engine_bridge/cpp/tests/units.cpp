// What is sent when: the link between a game and a server. No socket, no clock.
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>

#include "check.hpp"
#include "diegetic/link.hpp"
#include "messages.hpp"

using namespace diegetic;

namespace {

Hello declared() {
    Hello hello;
    hello.events = {{"shot"}};
    return hello;
}

/// What a game says, to a link.
struct Game {
    Link link{declared(), 10};
    double now = 100;

    void parameter(const char* name, double value) {
        Bytes message;
        encode(Parameter{name, value, now}, message);
        link.say(std::string("parameter ") + name, message);
    }

    void prompt(const char* text) {
        Bytes message;
        encode(Prompt{text, now}, message);
        link.say("prompt", message);
    }

    std::optional<Error> event(std::uint64_t id, double time, const char* name = "shot") {
        Bytes message;
        encode(Event{id, name, time}, message);
        const std::optional<Error> full = link.post(id, time, message);
        link.named(name);
        return full;
    }

    void turn(const char* value) {
        Bytes message;
        encode(Switch{"surface", value, now}, message);
        link.say("switch surface", message);
        link.switched("surface", value);
    }

    /// Whether the bank is ready after a status that has heard what was said up to `heard`.
    bool ready(double heard, std::int64_t takes = 12) {
        Status status;
        status.bank_ready = takes;
        status.bank_wanted = 12;
        status.heard = heard;
        link.receive(status, now);
        return link.bank_ready();
    }

    void frame(std::uint8_t shade) {
        Bytes message;
        encode(Frame{1, 1, &shade, 1, PixelFormat::gray8, 0, Origin::top, now}, message);
        link.show(message);
    }

    void open() {
        link.connected(now);
        sent();
        link.receive(Welcome{}, now);
    }

    /// Everything that is to be sent now, in words.
    std::string sent() {
        std::string words;
        Bytes message;
        while (link.take(now, message)) words += (words.empty() ? "" : ", ") + in_words(message);
        return words;
    }
};

void nothing_is_said_before_a_welcome() {
    Game game;
    game.prompt("rain");
    CHECK(game.sent() == "");
    CHECK(!game.link.due());
    game.link.connected(game.now);
    CHECK(game.link.due() == game.now);
    CHECK(game.sent() == "hello");
    CHECK(game.link.due() == game.now + 2);
    game.now += 1.9;
    CHECK(game.sent() == "");
    game.now += 0.2;
    CHECK(game.sent() == "hello");
    CHECK(!game.link.stats().welcomed);
    game.link.receive(Welcome{}, game.now);
    CHECK(game.link.stats().welcomed);
    CHECK(game.sent() == "prompt rain");
    CHECK(game.sent() == "");
}

void a_refused_hello_is_said_again() {
    Game game;
    game.link.connected(game.now);
    game.sent();
    game.link.receive(Error{"refused", "session", "one at a time"}, game.now);
    CHECK(game.sent() == "");
    game.now += 2;
    CHECK(game.sent() == "hello");
    CHECK(game.link.stats().errors == 1);
}

void states_coalesce_and_keep_the_order_of_saying() {
    Game game;
    game.open();
    game.prompt("rain");
    game.parameter("threat", 0.25);
    game.parameter("health", 1);
    game.parameter("threat", 0.5);
    game.event(1, game.now);
    game.prompt("wind");
    CHECK(game.sent() == "parameter health 1, parameter threat 0.5, event shot 1, prompt wind");
    CHECK(game.sent() == "");
}

void after_a_reconnect_all_that_counts_is_said_again_in_order() {
    Game game;
    game.open();
    game.parameter("threat", 0.25);
    game.event(1, game.now);
    game.event(2, game.now);
    game.prompt("rain");
    game.sent();
    game.parameter("threat", 0.75);
    game.sent();
    game.link.receive(Ack{{1}}, game.now);
    game.link.disconnected();
    game.prompt("wind");
    game.event(3, game.now);
    CHECK(game.sent() == "");
    game.open();
    CHECK(game.sent() == "event shot 2, parameter threat 0.75, prompt wind, event shot 3");
    const Stats stats = game.link.stats();
    CHECK(stats.events_unacked == 2);
    CHECK(stats.events_acked == 1);
    CHECK(stats.reconnects == 1);
    game.link.receive(Ack{{3, 2, 2, 77, -1}}, game.now);
    CHECK(game.link.stats().events_acked == 3);
    CHECK(game.link.stats().events_unacked == 0);
}

void an_ack_takes_an_event_out_of_the_queue() {
    Game game;
    game.event(1, game.now);
    game.event(2, game.now);
    game.open();
    game.link.receive(Ack{{1}}, game.now);
    CHECK(game.sent() == "event shot 2");
}

void a_server_that_forgot_us_is_told_everything() {
    Game game;
    game.open();
    game.prompt("rain");
    game.event(1, game.now);
    game.sent();
    game.link.receive(Error{"no-hello", "type", "expected hello first"}, game.now);
    CHECK(game.sent() == "hello");
    game.link.receive(Welcome{}, game.now);
    CHECK(game.sent() == "prompt rain, event shot 1");
    game.link.receive(Welcome{}, game.now);  // once more: it changes nothing
    CHECK(game.sent() == "");
}

void an_old_event_is_given_up_and_a_later_one_is_not() {
    Game game;
    game.event(1, game.now);
    game.event(2, game.now + 5);
    game.event(3, game.now);
    game.now += 10.5;
    game.link.age(game.now);
    CHECK(game.link.stats().events_expired == 2);
    game.open();
    CHECK(game.sent() == "event shot 2");
    game.now += 100;  // with a session, it waits for as long as it takes
    game.link.age(game.now);
    CHECK(game.link.stats().events_unacked == 1);
    game.link.disconnected();
    game.link.connected(game.now);
    game.link.receive(Welcome{}, game.now);
    CHECK(game.link.stats().events_expired == 3);
    CHECK(game.sent() == "");
}

void of_too_many_events_the_oldest_goes() {
    Game game;
    for (std::uint64_t id = 1; id <= Link::MAX_EVENTS; ++id) CHECK(!game.event(id, game.now));
    const std::optional<Error> full = game.event(20001, game.now);
    CHECK(full && full->code == "full");
    CHECK(!game.event(20002, game.now));  // it is told once
    CHECK(game.link.stats().events_unacked == Link::MAX_EVENTS);
    CHECK(game.link.stats().events_expired == 2);
    Ack ack;
    for (std::int64_t id = 1; id <= 10000; ++id) ack.events.push_back(id);
    game.link.receive(ack, game.now);
    for (std::uint64_t id = 30000; id < 40000; ++id) game.event(id, game.now);
    CHECK(game.link.stats().events_unacked == Link::MAX_EVENTS);
    CHECK(game.link.stats().events_expired > 2);
}

void only_the_newest_frame_waits_and_behind_all_else() {
    Game game;
    game.frame(1);
    game.frame(2);
    game.open();
    game.frame(3);
    game.prompt("rain");
    CHECK(game.sent() == "prompt rain, frame");
    const Stats stats = game.link.stats();
    CHECK(stats.frames_dropped == 2);
    CHECK(stats.frames_sent == 1);
}

void a_ping_goes_out_each_second_before_anything_else() {
    Game game;
    game.open();
    CHECK(game.link.due() == game.now + 1);
    game.now += 1;
    game.prompt("rain");
    CHECK(game.sent() == "ping, prompt rain");
    game.link.receive(Pong{game.now, 5}, game.now + 0.25);
    CHECK(game.link.stats().round_trip == 0.25);
    CHECK(game.link.due() == game.now + 1);
}

void the_status_is_that_of_the_session() {
    Game game;
    game.open();
    Status status;
    status.bank_ready = 3;
    game.link.receive(status, game.now);
    CHECK(game.link.stats().status && game.link.stats().status->bank_ready == 3);
    game.link.disconnected();
    game.open();
    CHECK(!game.link.stats().status);
}

void a_full_bank_is_one_of_which_a_server_has_told_since_hello() {
    Game game;
    game.open();
    CHECK(!game.link.bank_ready());
    CHECK(!game.ready(0));
    CHECK(!game.ready(99.9));
    CHECK(!game.ready(100, 11));
    CHECK(game.ready(100));
    game.link.disconnected();
    CHECK(!game.link.bank_ready());
}

void after_a_switch_only_a_status_that_has_heard_of_it_tells() {
    Game game;
    game.open();
    CHECK(game.ready(100));
    game.turn("grass");
    CHECK(!game.link.bank_ready());
    CHECK(!game.ready(100));
    CHECK(game.sent() == "switch");  // the clock stands: no two pings are alike
    game.now += 0.1;
    CHECK(game.sent() == "ping");
    CHECK(!game.ready(100));
    CHECK(game.ready(game.now));
    game.now += 0.1;
    game.turn("grass");  // as a game does that says it in every frame
    game.event(1, game.now);
    CHECK(game.link.bank_ready());
    CHECK(game.sent() == "switch, event shot 1");
}

void a_value_that_is_said_again_while_it_waits_is_still_waited_for() {
    Game game;
    game.open();
    game.turn("grass");
    game.prompt("rain");
    game.turn("grass");
    game.now += 1;  // the ping that is due goes first, and says nothing of the switch
    CHECK(game.sent() == "ping, prompt rain, switch");
    CHECK(!game.ready(game.now));
    game.now += 0.1;
    CHECK(game.sent() == "ping");
    CHECK(game.ready(game.now));
}

void a_name_that_was_not_declared_is_waited_for_once() {
    Game game;
    game.open();
    game.event(1, game.now, "crow");
    CHECK(!game.ready(100));
    game.now += 0.1;
    CHECK(game.sent() == "event crow 1, ping");
    CHECK(game.ready(game.now));
    game.event(2, game.now, "crow");
    CHECK(game.link.bank_ready());
}

void a_server_that_was_restarted_is_told_all_before_it_is_believed() {
    Game game;
    game.open();
    game.turn("grass");
    game.now += 0.1;
    game.sent();
    CHECK(game.ready(game.now));
    game.turn("grass");
    game.sent();
    game.link.disconnected();
    game.now += 1;
    game.open();
    CHECK(!game.ready(game.now));
    game.now += 0.1;
    CHECK(game.sent() == "switch, ping");
    CHECK(game.ready(game.now));
}

}  // namespace

int main() {
    void (*const tests[])() = {
        nothing_is_said_before_a_welcome,
        a_refused_hello_is_said_again,
        states_coalesce_and_keep_the_order_of_saying,
        after_a_reconnect_all_that_counts_is_said_again_in_order,
        an_ack_takes_an_event_out_of_the_queue,
        a_server_that_forgot_us_is_told_everything,
        an_old_event_is_given_up_and_a_later_one_is_not,
        of_too_many_events_the_oldest_goes,
        only_the_newest_frame_waits_and_behind_all_else,
        a_ping_goes_out_each_second_before_anything_else,
        the_status_is_that_of_the_session,
        a_full_bank_is_one_of_which_a_server_has_told_since_hello,
        after_a_switch_only_a_status_that_has_heard_of_it_tells,
        a_value_that_is_said_again_while_it_waits_is_still_waited_for,
        a_name_that_was_not_declared_is_waited_for_once,
        a_server_that_was_restarted_is_told_all_before_it_is_believed,
    };
    for (const auto test : tests) test();
    return verdict("units", std::size(tests));
}

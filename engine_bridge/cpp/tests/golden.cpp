// The golden vectors: what is said makes just these bytes, what comes means just this.
//
//     golden ../../golden/vectors.json
#include <cstdio>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "check.hpp"
#include "diegetic/replies.hpp"
#include "diegetic/said.hpp"
#include "diegetic/specs.hpp"
#include "json.hpp"

using namespace diegetic;

namespace {

double number(const Json& from, const char* key, double usual) {
    return from.has(key) ? from[key].number : usual;
}

int integer(const Json& from, const char* key, int usual) {
    return static_cast<int>(number(from, key, usual));
}

std::string text(const Json& from, const char* key, const char* usual = "") {
    return from.has(key) ? from[key].text : usual;
}

std::optional<double> maybe(const Json& from, const char* key) {
    return from.has(key) ? std::optional<double>(from[key].number) : std::nullopt;
}

Weights weights(const Json& from) {
    Weights pairs;
    for (const auto& [key, value] : from.entries) pairs.emplace_back(key, value.number);
    return pairs;
}

std::vector<std::string> texts(const Json& from) {
    std::vector<std::string> all;
    for (const auto& entry : from.entries) all.push_back(entry.second.text);
    return all;
}

Vector vector(const Json& from, Vector usual = {}) {
    if (from.entries.size() != 3) return usual;
    const auto& at = from.entries;
    return {at[0].second.number, at[1].second.number, at[2].second.number};
}

std::vector<BusSpec> buses(const Json& from) {
    std::vector<BusSpec> all;
    for (const auto& entry : from.entries) {
        const Json& bus = entry.second;
        std::vector<DuckSpec> ducks;
        for (const auto& one : bus["ducks"].entries) {
            const Json& duck = one.second;
            ducks.push_back({text(duck, "source"), number(duck, "gain_db", -9),
                             number(duck, "attack", 0.05), number(duck, "release", 0.5)});
        }
        all.push_back({text(bus, "name"), text(bus, "parent", "master"), ducks});
    }
    return all;
}

std::vector<EventSpec> events(const Json& from) {
    std::vector<EventSpec> all;
    for (const auto& entry : from.entries) {
        const Json& event = entry.second;
        if (event.entries.empty()) all.push_back({event.text});
        else {
            all.push_back({text(event, "name"), text(event, "text"),
                           integer(event, "variations", 5), number(event, "length", 1),
                           number(event, "gain_db", 0), text(event, "bus", "events")});
        }
    }
    return all;
}

Hello hello(const Json& from) {
    Hello hello;
    hello.time = from["time"].number;
    hello.engine = text(from, "engine");
    hello.instance = text(from, "instance");
    for (const auto& entry : from["parameters"].entries) {
        const Json& one = entry.second;
        hello.parameters.push_back({text(one, "name"), number(one, "minimum", 0),
                                    number(one, "maximum", 1), number(one, "default", 0)});
    }
    for (const auto& entry : from["switches"].entries) {
        hello.switches.push_back({text(entry.second, "name"), texts(entry.second["values"])});
    }
    hello.events = events(from["events"]);
    hello.buses = buses(from["buses"]);
    for (const auto& entry : from["snapshots"].entries) {
        hello.snapshots.push_back({text(entry.second, "name"), weights(entry.second["gains_db"])});
    }
    if (from.has("pcm")) {
        const Json& pcm = from["pcm"];
        hello.pcm = PcmSpec{integer(pcm, "rate", 48000), integer(pcm, "frames", 512)};
    }
    return hello;
}

std::optional<Error> encode_frame(const Json& from, double time, Bytes& out) {
    const Bytes pixels = from_hex(from["pixels"]["bytes"].text);
    const std::string format = text(from, "format", "rgb24");
    Frame frame{integer(from, "width", 0), integer(from, "height", 0)};
    frame.pixels = pixels.data();
    frame.size = pixels.size();
    for (const PixelFormat one : {PixelFormat::bgra8, PixelFormat::rgba8, PixelFormat::gray8}) {
        const char* names[] = {"rgb24", "bgra8", "rgba8", "gray8"};
        if (format == names[static_cast<std::size_t>(one)]) frame.format = one;
    }
    frame.stride = integer(from, "stride", 0);
    frame.origin = text(from, "origin") == "bottom" ? Origin::bottom : Origin::top;
    frame.time = time;
    return encode(frame, out);
}

std::optional<Error> encode_layers(const Json& from, double time, Bytes& out) {
    Layers layers{{}, time};
    for (const std::string& name : texts(from["layers"])) {
        layers.layers.push_back(name == "ambience" ? Layer::ambience
                                : name == "music"  ? Layer::music
                                                   : Layer::foley);
    }
    return encode(layers, out);
}

/// Say what a vector means; the error is what was wrong with it.
std::optional<Error> say(const Json& from, Bytes& out) {
    const std::string type = text(from, "type"), name = text(from, "name");
    const double time = from["time"].number, ramp = number(from, "ramp", 0);
    const double fade = number(from, "fade", 0);
    if (type == "hello") return encode(hello(from), out);
    if (type == "frame") return encode_frame(from, time, out);
    if (type == "layers") return encode_layers(from, time, out);
    if (type == "ping") return encode(Ping{time}, out);
    if (type == "loudness") return encode(Loudness{time, maybe(from, "lufs")}, out);
    if (type == "bye") return encode(Bye{time}, out);
    if (type == "parameter") return encode(Parameter{name, from["value"].number, time, ramp}, out);
    if (type == "switch") return encode(Switch{name, from["value"].text, time}, out);
    if (type == "push_snapshot") return encode(Snapshot<true>{name, time, fade}, out);
    if (type == "pop_snapshot") return encode(Snapshot<false>{name, time, fade}, out);
    if (type == "prompt") {
        return encode(Prompt{from["text"].text, time, maybe(from, "guidance"),
                             number(from, "weight", 1), weights(from["blend"]), ramp},
                      out);
    }
    if (type == "listener") {
        return encode(Listener{vector(from["position"]), time,
                               vector(from["forward"], {0, 0, -1}), vector(from["up"], {0, 1, 0})},
                      out);
    }
    if (type == "bus") {
        std::optional<bool> mute;
        if (from.has("mute")) mute = from["mute"].is_true;
        return encode(Bus{name, time, maybe(from, "gain_db"), mute, fade}, out);
    }
    if (type == "event") {
        std::optional<Vector> position;
        if (from.has("position")) position = vector(from["position"]);
        return encode(Event{static_cast<std::uint64_t>(from["id"].number), name, time,
                            number(from, "gain_db", 0), position, number(from, "occlusion", 0),
                            from["bus"].text},
                      out);
    }
    return Error{"unknown-type", "type", type};
}

/// Holds the fields of a reply against what a vector says.
struct Same {
    const Json& wanted;
    bool good = true;

    void field(const char* name, std::int64_t value, bool = true) {
        good = good && static_cast<double>(value) == wanted[name].number;
    }
    void field(const char* name, double value, bool = true) {
        good = good && value == wanted[name].number;
    }
    void field(const char* name, bool value, bool = true) {
        good = good && value == wanted[name].is_true;
    }
    void field(const char* name, const std::string& value, bool = true) {
        good = good && value == wanted[name].text;
    }
    void field(const char* name, const Bytes& value, bool = true) {
        good = good && value == from_hex(wanted[name]["bytes"].text);
    }
    void field(const char* name, const std::vector<std::int64_t>& value, bool = true) {
        const auto& items = wanted[name].entries;
        good = good && value.size() == items.size();
        for (std::size_t k = 0; good && k < value.size(); ++k) {
            good = static_cast<double>(value[k]) == items[k].second.number;
        }
    }
};

bool means(const Bytes& bytes, const Json& wanted) {
    const char* types[] = {"welcome", "ack", "error", "status", "pong", "pcm"};
    std::optional<Reply> reply = decode_reply(bytes);
    if (!reply || text(wanted, "type") != types[reply->index()]) return false;
    Same same{wanted};
    std::visit([&](auto& message) { message.fields(same); }, *reply);
    return same.good;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: golden vectors.json\n");
        return 2;
    }
    const std::string file = read_file(arguments[1]);
    const Json all = JsonReader(file).value();
    std::size_t said = 0, heard = 0;
    for (const auto& entry : all["vectors"].entries) {
        const Json& vector = entry.second;
        const std::string label = vector["name"].text;
        const Bytes bytes = from_hex(vector["bytes"].text);
        Reader reader(bytes.data(), bytes.size());
        check(reader.skip() && reader.finished(), label.c_str(), "one whole value", 0);
        if (vector["to"].text == "engine") {
            check(means(bytes, vector["message"]), label.c_str(), "decoded", 0);
            ++heard;
        } else if (vector["exact"].is_true) {
            Bytes out;
            const std::optional<Error> problem = say(vector["message"], out);
            const std::string why = problem ? problem->field + ": " + problem->message : "";
            check(!problem && out == bytes, (label + ' ' + why).c_str(), "encoded", 0);
            ++said;
        }
    }
    CHECK(all["version"].number == 1);
    CHECK(said > 50);
    CHECK(heard > 20);
    return verdict("golden", said + heard);
}

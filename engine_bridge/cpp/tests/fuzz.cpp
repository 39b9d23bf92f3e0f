// Mutated and random bytes, as a server that has gone mad would send them: nothing may crash.
//
//     fuzz ../../golden/vectors.json ROUNDS [SEED]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "diegetic/link.hpp"
#include "diegetic/pcm.hpp"
#include "diegetic/zmtp.hpp"
#include "json.hpp"

using namespace diegetic;

namespace {

class Fuzzer {
public:
    Fuzzer(std::vector<Bytes> corpus, unsigned seed) : corpus_(std::move(corpus)), random_(seed) {}

    /// One connection: a handshake and some messages, all of it damaged here and there, in pieces.
    void connection() {
        Bytes stream, out, message;
        Zmtp::greet(stream);
        const std::string ready("\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER", 30);
        stream.insert(stream.end(), ready.begin(), ready.end());
        for (std::size_t k = below(8); k > 0; --k) {
            Bytes body = corpus_[below(corpus_.size())];
            if (below(4) > 0) damage(body);
            Zmtp::frame(body, stream);
        }
        if (below(3) == 0) damage(stream);
        Zmtp zmtp("fuzzer");
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t step = std::min(stream.size() - at, 1 + below(200));
            zmtp.feed(stream.data() + at, step);
            at += step;
            while (zmtp.next(message, out)) hear(message);
        }
        link_.disconnected();
    }

    std::size_t heard() const { return heard_; }

private:
    std::size_t below(std::size_t limit) { return random_() % limit; }

    void damage(Bytes& bytes) {
        for (std::size_t k = 1 + below(4); k > 0; --k) {
            if (bytes.empty()) return;
            const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size()));
            switch (below(4)) {
                case 0: *at = static_cast<std::uint8_t>(random_()); break;
                case 1: bytes.erase(at); break;
                case 2: bytes.insert(at, static_cast<std::uint8_t>(0xC0 + below(0x40))); break;
                default: bytes.erase(at, at + static_cast<std::ptrdiff_t>(
                                                  below(std::size_t(bytes.end() - at)) + 1));
            }
        }
    }

    void hear(const Bytes& message) {
        now_ += 0.01;
        link_.connected(now_);
        const std::optional<Reply> reply = decode_reply(message);
        if (!reply) return;
        ++heard_;
        link_.post(heard_, now_, {0xC0});
        link_.receive(*reply, now_);
        if (const auto* piece = std::get_if<Pcm>(&*reply)) pcm_.push(*piece);
        float sound[128];
        pcm_.read(sound, 64);
        Bytes out;
        while (link_.take(now_, out)) continue;
    }

    std::vector<Bytes> corpus_;
    std::mt19937 random_;
    Link link_{Hello{}, 10};
    PcmBuffer pcm_{PcmSpec{}, 0.01};
    double now_ = 0;
    std::size_t heard_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
    if (count < 3) {
        std::fprintf(stderr, "usage: fuzz vectors.json ROUNDS [SEED]\n");
        return 2;
    }
    std::vector<Bytes> corpus;
    const std::string file = read_file(arguments[1]);
    const Json vectors = JsonReader(file).value();
    for (const auto& [name, vector] : vectors["vectors"].entries) {
        if (vector["to"].text == "engine") corpus.push_back(from_hex(vector["bytes"].text));
    }
    const unsigned seed = count > 3 ? static_cast<unsigned>(std::atoi(arguments[3])) : 0;
    Fuzzer fuzzer(std::move(corpus), seed);
    const int rounds = std::atoi(arguments[2]);
    for (int k = 0; k < rounds; ++k) fuzzer.connection();
    std::printf("fuzz: %d connections, %zu messages understood\n", rounds, fuzzer.heard());
    return fuzzer.heard() > 0 ? 0 : 1;
}

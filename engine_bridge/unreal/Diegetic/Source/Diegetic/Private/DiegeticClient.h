// The C++ client with Unreal's platform headers around it; only this module's sources include it.
#pragma once

#include <atomic>

#include "CoreMinimal.h"

#if PLATFORM_WINDOWS
#include "Windows/AllowWindowsPlatformTypes.h"
#endif
THIRD_PARTY_INCLUDES_START
#include "diegetic/client.hpp"
THIRD_PARTY_INCLUDES_END
#if PLATFORM_WINDOWS
#include "Windows/HideWindowsPlatformTypes.h"
#endif

class FDiegeticClient
{
public:
    explicit FDiegeticClient(diegetic::Settings Settings) : Client(MoveTemp(Settings)) {}

    diegetic::Client Client;

    /** Set while a component plays the sound: one thread at a time may read it. */
    std::atomic<bool> bIsHeard{false};
};

inline std::string DiegeticText(const FString& Text)
{
    const FTCHARToUTF8 Utf8(*Text);
    return std::string(reinterpret_cast<const char*>(Utf8.Get()), Utf8.Length());
}

/** From Unreal (x ahead, y right, z up, left-handed) to x right, y up, -z ahead. */
inline diegetic::Vector DiegeticDirection(const FVector& V)
{
    return {V.Y, V.Z, -V.X};
}

/** The same, from centimetres to metres. */
inline diegetic::Vector DiegeticPosition(const FVector& V)
{
    return DiegeticDirection(V / 100.0);
}

// What a game declares: project settings, "Plugins > Diegetic".
#pragma once

#include "CoreMinimal.h"
#include "Engine/DeveloperSettings.h"

#include "DiegeticTypes.generated.h"

UENUM(BlueprintType)
enum class EDiegeticLayer : uint8
{
    Ambience,
    Music,
    Foley
};

/** A value that the game will set. */
USTRUCT(BlueprintType)
struct FDiegeticParameter
{
    GENERATED_BODY()

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    FString Name;

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    float Minimum = 0.0f;

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    float Maximum = 1.0f;

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    float Default = 0.0f;
};

/** One of named values, such as the surface underfoot. */
USTRUCT(BlueprintType)
struct FDiegeticSwitch
{
    GENERATED_BODY()

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    FString Name;

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    TArray<FString> Values;
};

/** Something that is heard once. */
USTRUCT(BlueprintType)
struct FDiegeticEvent
{
    GENERATED_BODY()

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    FString Name;

    /** What is heard; {surface} stands for the value of the switch "surface". Empty is the name. */
    UPROPERTY(EditAnywhere, Category = "Diegetic")
    FString Text;

    /** Takes that are kept ready. */
    UPROPERTY(EditAnywhere, Category = "Diegetic", meta = (ClampMin = 1, ClampMax = 16))
    int32 Variations = 5;

    /** Seconds, at most. */
    UPROPERTY(EditAnywhere, Category = "Diegetic", meta = (ClampMin = 0.05, ClampMax = 4))
    float Length = 1.0f;

    UPROPERTY(EditAnywhere, Category = "Diegetic", meta = (ClampMin = -96, ClampMax = 24))
    float GainDb = 0.0f;

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    FString Bus = TEXT("events");
};

/** A bus of the mix, besides "master", "beds" and "events". */
USTRUCT(BlueprintType)
struct FDiegeticBus
{
    GENERATED_BODY()

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    FString Name;

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    FString Parent = TEXT("master");
};

/** A scene of the mix: gains (dB) by bus, added while it is pushed. */
USTRUCT(BlueprintType)
struct FDiegeticSnapshot
{
    GENERATED_BODY()

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    FString Name;

    UPROPERTY(EditAnywhere, Category = "Diegetic")
    TMap<FString, float> GainsDb;
};

/** Where the server is, and what the game will say to it. */
UCLASS(Config = Game, DefaultConfig, meta = (DisplayName = "Diegetic"))
class DIEGETIC_API UDiegeticSettings : public UDeveloperSettings
{
    GENERATED_BODY()

public:
    UDiegeticSettings() { CategoryName = TEXT("Plugins"); }

    /** tcp://, an address in digits, and a port. */
    UPROPERTY(Config, EditAnywhere, Category = "Diegetic")
    FString Endpoint = TEXT("tcp://127.0.0.1:7776");

    /** Have the sound sent here, for a Diegetic Synth component, instead of played by the server. */
    UPROPERTY(Config, EditAnywhere, Category = "Diegetic")
    bool bSoundIntoEngine = false;

    /** Keep the listener where the first player's camera is. */
    UPROPERTY(Config, EditAnywhere, Category = "Diegetic")
    bool bListenAtCamera = true;

    UPROPERTY(Config, EditAnywhere, Category = "Diegetic")
    TArray<FDiegeticParameter> Parameters;

    UPROPERTY(Config, EditAnywhere, Category = "Diegetic")
    TArray<FDiegeticSwitch> Switches;

    UPROPERTY(Config, EditAnywhere, Category = "Diegetic")
    TArray<FDiegeticEvent> Events;

    UPROPERTY(Config, EditAnywhere, Category = "Diegetic")
    TArray<FDiegeticBus> Buses;

    UPROPERTY(Config, EditAnywhere, Category = "Diegetic")
    TArray<FDiegeticSnapshot> Snapshots;
};

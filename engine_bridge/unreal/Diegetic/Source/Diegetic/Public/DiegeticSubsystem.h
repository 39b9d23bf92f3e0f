// One connection to the sound server for each run of the game.
#pragma once

#include "Containers/Ticker.h"
#include "CoreMinimal.h"
#include "DiegeticTypes.h"
#include "Subsystems/GameInstanceSubsystem.h"

#include "DiegeticSubsystem.generated.h"

class FDiegeticClient;

DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(FDiegeticError, const FString&, Field, const FString&, Message);

DECLARE_DYNAMIC_MULTICAST_DELEGATE(FDiegeticBankReady);

/**
 * Speak to the sound server: say it and forget it. No call waits; without a server each does nothing
 * but remember the newest state and the latest events. Positions are Unreal's: centimetres, z up.
 */
UCLASS()
class DIEGETIC_API UDiegeticSubsystem : public UGameInstanceSubsystem
{
    GENERATED_BODY()

public:
    virtual void Initialize(FSubsystemCollectionBase& Collection) override;
    virtual void Deinitialize() override;

    /** Say what should be heard; empty is silence. Guidance: 1 to 5, how strictly; 0 leaves it. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetPrompt(const FString& Text, float Guidance = 0.0f, float Ramp = 0.0f);

    /** The same with up to three texts and their weights. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetBlendedPrompt(const TMap<FString, float>& Weights, float Guidance = 0.0f, float Ramp = 0.0f);

    /** Have some layers of the endless sound heard; none is all. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetLayers(const TArray<EDiegeticLayer>& Layers);

    /** Move a declared parameter over Ramp seconds. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetParameter(const FString& Name, float Value, float Ramp = 0.0f);

    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetSwitch(const FString& Name, const FString& Value);

    /** Have something heard once, everywhere; returns its id. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    int64 PostEvent(const FString& Name, float GainDb = 0.0f);

    /** Have something heard once at a place. Occlusion: 0 nothing before it, 1 a thick wall. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    int64 PostEventAt(const FString& Name, FVector Location, float GainDb = 0.0f, float Occlusion = 0.0f);

    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetBusGain(const FString& Name, float GainDb, float Fade = 0.0f);

    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetBusMute(const FString& Name, bool bMute, float Fade = 0.0f);

    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void PushSnapshot(const FString& Name, float Fade = 0.0f);

    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void PopSnapshot(const FString& Name, float Fade = 0.0f);

    /** Steer the whole mix towards a loudness, -40 to -10 LUFS; 0 leaves it as it comes. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetLoudness(float Lufs = 0.0f);

    /** Say where the ears are; not needed while the settings keep them at the camera. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    void SetListener(FVector Location, FRotator Rotation);

    /** True while the server has opened a session for this game. */
    UFUNCTION(BlueprintPure, Category = "Diegetic")
    bool IsConnected() const;

    /** True while all sounds of declared events are there, those that the switches now want. */
    UFUNCTION(BlueprintPure, Category = "Diegetic")
    bool IsBankReady() const;

    /** The same, told once each time it comes true: a loading screen may end. */
    UPROPERTY(BlueprintAssignable, Category = "Diegetic")
    FDiegeticBankReady OnBankReady;

    /** A wrong argument, or what the server refused. */
    UPROPERTY(BlueprintAssignable, Category = "Diegetic")
    FDiegeticError OnError;

    /** The connection itself, for the components; it lives on while one of them holds it. */
    TSharedPtr<FDiegeticClient> GetClient() const { return Client; }

private:
    bool Tick(float DeltaTime);

    TSharedPtr<FDiegeticClient> Client;
    bool bBankWasReady = false;
    FTSTicker::FDelegateHandle Ticker;
};

// A place from which events are heard.
#pragma once

#include "Components/SceneComponent.h"
#include "CoreMinimal.h"

#include "DiegeticEmitterComponent.generated.h"

/** Posts events where it is: put it on whatever makes the sound. */
UCLASS(ClassGroup = "Diegetic", meta = (BlueprintSpawnableComponent))
class DIEGETIC_API UDiegeticEmitterComponent : public USceneComponent
{
    GENERATED_BODY()

public:
    /** How much stands before it: 0 nothing, 1 a thick wall. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Diegetic", meta = (ClampMin = 0, ClampMax = 1))
    float Occlusion = 0.0f;

    /** Have something heard once, from here; returns its id, 0 outside a game. */
    UFUNCTION(BlueprintCallable, Category = "Diegetic")
    int64 PostEvent(const FString& Name, float GainDb = 0.0f);
};

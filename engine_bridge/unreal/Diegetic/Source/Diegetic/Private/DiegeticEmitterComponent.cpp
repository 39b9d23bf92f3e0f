#include "DiegeticEmitterComponent.h"

#include "DiegeticSubsystem.h"
#include "Engine/GameInstance.h"
#include "Engine/World.h"

int64 UDiegeticEmitterComponent::PostEvent(const FString& Name, float GainDb)
{
    const UWorld* World = GetWorld();
    const UGameInstance* Game = World ? World->GetGameInstance() : nullptr;
    UDiegeticSubsystem* Subsystem = Game ? Game->GetSubsystem<UDiegeticSubsystem>() : nullptr;
    return Subsystem ? Subsystem->PostEventAt(Name, GetComponentLocation(), GainDb, Occlusion) : 0;
}

using System.IO;
using UnrealBuildTool;

public class Diegetic : ModuleRules
{
    public Diegetic(ReadOnlyTargetRules Target) : base(Target)
    {
        PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
        CppStandard = CppStandardVersion.Cpp20;
        PublicDependencyModuleNames.AddRange(new[]
        {
            "AudioMixer", "Core", "CoreUObject", "DeveloperSettings", "Engine"
        });
        PrivateDependencyModuleNames.AddRange(new[] { "RHI", "RenderCore" });

        string Core = Path.Combine(ModuleDirectory, "..", "ThirdParty");
        if (!File.Exists(Path.Combine(Core, "diegetic", "client.hpp")))
        {
            throw new BuildException("Copy engine_bridge/cpp/include/diegetic into " + Core);
        }
        PrivateIncludePaths.Add(Core);
        if (Target.Platform == UnrealTargetPlatform.Win64)
        {
            PublicSystemLibraries.Add("ws2_32.lib");
        }
    }
}

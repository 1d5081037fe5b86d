namespace NextPatch.Core.Files;

/// <summary>What columns of tables and keys of JSON lines may be called, in lists of images and of captions.</summary>
internal static class ListColumns
{
    public static readonly string[] Images = ["path", "file", "file_name", "filename", "image", "image_path"];

    public static readonly string[] Labels = ["label", "class", "class_name", "category", "target"];

    public static readonly string[] Captions = ["text", "caption", "captions", "prompt"];
}

using System.Net;

namespace NextPatch.Cli.Reports;

/// <summary>The frame of every page: one file that needs nothing beside it, readable at 360 pixels, light or dark as the reader has it.</summary>
internal static class HtmlPage
{
    private const string Style =
        """
        :root{color-scheme:light dark;--line:#e2e8f0;--quiet:#475569;--back:#fff;--text:#0f172a;--box:#f8fafc}
        @media (prefers-color-scheme:dark){:root{--line:#334155;--quiet:#94a3b8;--back:#0f172a;--text:#e2e8f0;--box:#1e293b}}
        body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:1.5rem auto;padding:0 1rem;color:var(--text);background:var(--back)}
        h1{margin-bottom:0;overflow-wrap:anywhere} h2{margin-top:2rem;border-bottom:1px solid var(--line)} .lead{color:var(--quiet)}
        .wide{overflow-x:auto} table{border-collapse:collapse;margin:.8rem 0}
        td,th{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
        td:first-child,th:first-child{text-align:left}
        .charts{display:flex;flex-wrap:wrap;gap:1rem} .charts figure{flex:1 1 20rem;max-width:34rem;margin:0} .chart{width:100%;height:auto}
        img{image-rendering:pixelated;max-width:100%} pre{background:var(--box);padding:1rem;overflow:auto;font-size:13px}
        .side{display:flex;flex-wrap:wrap;gap:1rem} .side figure{margin:0;flex:1 1 18rem;min-width:0}
        @media (max-width:30rem){.wide img{max-width:none;width:34rem}}
        """;

    /// <param name="title">Plain text.</param>
    /// <param name="body">HTML.</param>
    /// <param name="style">More CSS.</param>
    public static string Render(string title, string body, string style = "") =>
        $$"""
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{Encode(title)}}</title>
        <style>
        {{Style}}
        {{style}}
        </style></head><body>
        {{body}}
        </body></html>
        """;

    /// <summary>Charts beside each other where there is room; empty ones are left out.</summary>
    public static string Charts(params IEnumerable<string> charts)
        => $"<div class=\"charts\">{string.Concat(charts.Where(c => c.Length > 0).Select(c => $"<figure>{c}</figure>"))}</div>";

    /// <summary>Rows of cells, plain text; the first row heads the others.</summary>
    public static string Table(IEnumerable<IReadOnlyList<string>> rows)
        => $"<div class=\"wide\"><table>{string.Concat(rows.Select((row, i) => Row(row, i == 0 ? "th" : "td")))}</table></div>";

    /// <summary>Names and values, plain text.</summary>
    public static string Facts(IEnumerable<(string Name, string Value)> facts)
        => $"<div class=\"wide\"><table>{string.Concat(facts.Select(f => Row([f.Name, f.Value], "td")))}</table></div>";

    /// <summary>A picture with small writing: where the page is narrow it keeps a size that can be read, in a box that scrolls.</summary>
    public static string Picture(byte[] png, string alternative)
        => $"<div class=\"wide\"><img alt=\"{Encode(alternative)}\" src=\"data:image/png;base64,{Convert.ToBase64String(png)}\"></div>";

    public static string Encode(string text) => WebUtility.HtmlEncode(text);

    private static string Row(IEnumerable<string> cells, string tag)
        => $"<tr>{string.Concat(cells.Select(cell => $"<{tag}>{Encode(cell)}</{tag}>"))}</tr>";
}

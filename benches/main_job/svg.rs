//! Just enough SVG for the charts: it reads well on a light and on a dark page, and needs no font
//! of its own.

use std::fmt::Write as _;

/// Colours by what they are for; a reader's dark page turns them.
const STYLE: &str = "\
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.dim { fill: #59636e; font-size: 12px; }
.strong { font-weight: 600; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.ours { fill: #0969da; }
.other { fill: #b7c1cc; }
.oursline { stroke: #0969da; fill: none; stroke-width: 2; }
.otherline { stroke: #8c959f; fill: none; stroke-width: 2; }
.otherdot { fill: #8c959f; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.dim { fill: #9198a1; }
.grid { stroke: #3d444d; }
.ours { fill: #4493f8; }
.other { fill: #59636e; }
.oursline { stroke: #4493f8; }
.otherline { stroke: #9198a1; }
.otherdot { fill: #9198a1; }
}";

/// Where a text is held.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug)]
pub struct Svg(String);

impl Svg {
    /// An empty one; `title` is for those who cannot see it.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let mut svg = Self(String::new());
        let title = escaped(title);
        svg.line(&format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{title}">"#
        ));
        svg.line(&format!("<title>{title}</title>\n<style>\n{STYLE}\n</style>"));
        svg
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.line(&format!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{}</text>"#,
            escaped(text)
        ));
    }

    /// A figure, and what it means beside it.
    pub fn figure(&mut self, x: f64, y: f64, class: &str, figure: &str, beside: &str) {
        let (figure, beside) = (escaped(figure), escaped(beside));
        self.line(&format!(r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{figure}<tspan dx="8" class="dim">{beside}</tspan></text>"#));
    }

    /// A bar from left to right.
    pub fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        self.line(&format!(r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" class="{class}"/>"#));
    }

    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.line(&format!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="grid"/>"#
        ));
    }

    /// A line through points, each with a dot.
    pub fn curve(&mut self, points: &[(f64, f64)], line_class: &str, dot_class: &str) {
        let mut path = String::new();
        for (place, (x, y)) in points.iter().enumerate() {
            let _infallible = write!(path, "{}{x:.1} {y:.1}", if place == 0 { "M" } else { " L" });
        }
        self.line(&format!(r#"<path d="{path}" class="{line_class}"/>"#));
        for (x, y) in points {
            self.line(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" class="{dot_class}"/>"#));
        }
    }

    pub fn finish(mut self) -> String {
        self.line("</svg>");
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

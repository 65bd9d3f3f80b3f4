#include "cli/manual.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

TEST(ManPage, HasTheSectionsOfMan) {
  const HelpPage page = parse_help(R"(Usage: cohort bake [OPTION...] PROGRAM

Bakes `x`. It's
.hot.

  a   block
      below

Options:
  -w, --workers N         How many
                          of them.
      --watch             Looks:
                          fair      in turn
      and those of `cohort run` (cohort run --help)

Exit codes: 0 done.

Examples:
  cohort bake x   \o/
)");
  EXPECT_EQ(
      man_page({.name = "cohort-bake", .summary = "Bake it", .version = "cohort 0.1.0"}, page),
      R"(.TH COHORT\-BAKE 1 "" "cohort 0.1.0" cohort
.SH NAME
cohort\-bake \- Bake it
.SH SYNOPSIS
.nf
\fBcohort bake\fR [OPTION...] PROGRAM
.fi
.SH DESCRIPTION
Bakes \(gax\(ga. It\(aqs
\&.hot.
.PP
.nf
  a   block
      below
.fi
.SH OPTIONS
.TP
\fB\-w\fR, \fB\-\-workers\fR \fIN\fR
How many of them.
.TP
\fB\-\-watch\fR
Looks:
.nf
fair      in turn
.fi
.PP
And those of \fBcohort\-run\fR(1).
.SH EXIT STATUS
Exit codes: 0 done.
.SH EXAMPLES
.nf
cohort bake x   \eo/
.fi
.SH SEE ALSO
\fBcohort\fR(1), \fBcohort\-run\fR(1), \fBcohort.toml\fR(5)
)");
}

TEST(ManPage, ListsTheCommandsAndMayBeOfAnotherSection) {
  const HelpPage page = parse_help("Usage: cohort\n\nCommands:\n  verify-it  Verify it\n");
  const std::string text =
      man_page({.name = "cohort.toml", .section = 5, .summary = "s", .version = "v"}, page);
  EXPECT_TRUE(text.starts_with(".TH COHORT.TOML 5 ")) << text;
  EXPECT_EQ(text.find("SYNOPSIS"), std::string::npos);
  EXPECT_NE(text.find(".TP\n\\fBcohort\\-verify\\-it\\fR(1)\nVerify it\n"), std::string::npos)
      << text;
}

TEST(ManPage, NothingInATextIsARequestOrAnEscape) {
  EXPECT_EQ(roff(".x"), "\\&.x");
  EXPECT_EQ(roff("'x"), "\\&\\(aqx");
  EXPECT_EQ(roff("a.b \\ -"), "a.b \\e \\-");
  EXPECT_EQ(roff("~/^"), "\\(ti/\\(ha");
}

}  // namespace
}  // namespace cohort::cli

// The command line of `cohort map`. Pure.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdlib>

#include "cli/map_command.h"
#include "cli/run_options.h"
#include "cli/sim_policy.h"
#include "cohort/parallelism.h"

namespace cohort::cli {
namespace {

constexpr unsigned kJobsMax = 1024, kTriesMax = 1000, kWindowMax = 100'000;
constexpr int kWrongWords = 255;  // as GNU parallel

constexpr const char* kMapHelp =
    R"(Usage: cohort map [OPTION...] COMMAND [ARG...] [::: VALUE...]

Runs COMMAND once for each line of stdin, as many at once as there are CPUs, and
prints what each writes in one piece. In place of GNU parallel and xargs -P.

In COMMAND stand for the line (without any of these it comes last):

  {}       itself
  {.}      without its extension
  {/}      the file's name
  {//}     its directory
  {/.}     the name without its extension
  {1} {2}  a column (--colsep), or one of several; {1/.} is a part of it
  {#}      the number of the job, from 1
  {%}      which of those at once, from 1

COMMAND as several words is a program, and no shell is there. As one word, in
quotes, it is what you would type: cohort map 'gzip -c {} >{.}.gz'. A line is
one argument of it, whatever is in there; it never becomes a command.

Options:
  -w, --workers N|auto    How many at once; -j is the same. Default: one for
                          each CPU that it may use.
  -a, --arg-file FILE     Lines of a file instead of stdin; -: stdin. Several,
                          or with :::, are combined: each with each.
  -0, --null              Lines end with a NUL byte, as of find -print0.
  -d, --delimiter CHAR    Lines end with CHAR; \n, \t and \0 are known.
      --colsep REGEX      Cuts lines into columns: {1} {2}.
  -n, --max-args N        So many lines for each job. Default: 1.
  -X, --xargs             As many as a command line takes, or as make equal
                          jobs at the end; a word with {} is repeated for each.
      --pipe              Lines are stdin of COMMAND: a block of them for each
                          job.
      --block SIZE        How much of them. Default: 1M.
      --serve             COMMAND lives on, reads lines, and writes one line for
                          each, flushed. One that dies is started again.
      --window N          So many lines it may have at once. Default: 16.
  -k, --keep-order        Prints in the order of the lines. Default: only on a
                          terminal.
      --no-keep-order     Prints whoever is done.
  -u, --ungroup           Jobs write for themselves, mixed.
      --tag               LINE and a tab before each line that is printed.
      --results DIR       Keeps it, too: in DIR/1/LINE/stdout and stderr.
      --joblog FILE       A line for each job that is done, as GNU parallel's.
      --resume            Leaves out what --joblog has.
      --resume-failed     Leaves out what --joblog has as done well.
      --retries N         Starts a job that fails N times at most. Default: 1.
      --timeout TIME      Ends a job that takes longer.
      --halt WHEN         now,fail=1: at the first that fails the others are
                          ended. soon: they may finish. Also success=, done=,
                          and fail=20%. Default: never.
      --delay TIME        Between two starts.
      --memfree SIZE      Starts none with less memory free: 500M, 2G.
      --load N            Starts none while the load is N or more.
      --no-progress       No bar. Default: on a terminal there is one.
      --dry-run           Only prints the commands.
  -h, --help              This text.

TIME is in seconds: 7, 7s or 0.5; or 100ms. Ctrl-C: those that run finish; again
ends them.

Examples:
  find . -name '*.log' -print0 | cohort map -0 gzip
  cohort map -k 'curl -s {} | wc -c' ::: https://a.example https://b.example

Exit codes: 0 all were done well, 1 to 100 so many failed, 101 more did; with
--halt that of the job that decided; 255 another error; 128 and the signal's
number after one.
)";

Answer wrong_map(const std::string& what) {
  return {kWrongWords, "cohort: " + what + "\nTry: cohort map --help\n"};
}

std::optional<char> delimiter_from(const std::string& text) {
  if (text.size() == 1) return text.front();
  if (text == "\\n") return '\n';
  if (text == "\\t") return '\t';
  if (text == "\\0") return '\0';
  return std::nullopt;
}

// COMMAND ::: a b ::: c
void read_words(std::vector<std::string> words, MapOptions& options) {
  if (!words.empty() && words.front() == "--") words.erase(words.begin());
  for (std::string& word : words) {
    if (word == ":::")
      options.lists.emplace_back();
    else
      (options.lists.empty() ? options.command : options.lists.back()).push_back(std::move(word));
  }
}

// Everything but what CLI11 has read into `options` itself.
struct MapTexts {
  std::string workers = "auto", delimiter, halt, timeout, delay, memory, block;
  bool pipe = false, null = false, in_order = false, in_any_order = false, no_progress = false,
       help = false;
};

std::optional<std::string> read_texts(const MapTexts& texts, MapOptions& options) {
  if (texts.workers != "auto") {
    char* end = nullptr;
    const unsigned long jobs = std::strtoul(texts.workers.c_str(), &end, 10);
    if (*end != '\0' || jobs < 1 || jobs > kJobsMax)
      return "--workers takes 1 to " + std::to_string(kJobsMax) + ", or auto; not `" +
             texts.workers + '`';
    options.jobs = static_cast<unsigned>(jobs);
  }
  if (!texts.delimiter.empty()) {
    const auto end = delimiter_from(texts.delimiter);
    if (!end) return "--delimiter takes one byte, \\n, \\t or \\0; not `" + texts.delimiter + '`';
    options.record_end = *end;
  }
  if (texts.null) options.record_end = '\0';
  if (!texts.halt.empty()) {
    const auto rule = map::HaltRule::parse(texts.halt);
    if (!rule) return rule.error().message();
    options.halt = *rule;
  }
  for (const auto& [name, text, value] : {std::tuple{"--timeout", &texts.timeout, &options.timeout},
                                          std::tuple{"--delay", &texts.delay, &options.delay}}) {
    if (text->empty()) continue;
    const auto time = sim_time_from(*text);
    if (!time) return std::string{name} + " takes seconds, from 0 to 86400; not `" + *text + '`';
    *value = *time;
  }
  if (texts.pipe) {
    const auto size = size_from(texts.block.empty() ? "1M" : texts.block);
    if (!size) return "--block takes a size of 1M or more, as 10M; not `" + texts.block + '`';
    options.block = static_cast<std::size_t>(*size);
  }
  if (!texts.memory.empty()) {
    const auto size = size_from(texts.memory);
    if (!size)
      return "--memfree takes a size of 1M or more, as 512M or 2G; not `" + texts.memory + '`';
    options.memory_free = *size;
  }
  return std::nullopt;
}

std::optional<std::string> map_contradiction(const MapTexts& texts, const MapOptions& options) {
  if (options.command.empty()) return "no command: cohort map gzip {} ::: *.log";
  if (options.rows < 1) return "--max-args takes 1 or more";
  if (options.tries < 1 || options.tries > kTriesMax)
    return "--retries takes 1 to " + std::to_string(kTriesMax);
  if (!texts.block.empty() && !texts.pipe) return "--block is of use with --pipe only";
  if (texts.pipe && (!options.lists.empty() || options.files.size() > 1 || options.rows > 1 ||
                     options.fill || !options.column_separator.empty() || options.tag))
    return "with --pipe lines are no arguments: no :::, -n, -X, --colsep or --tag, and one -a";
  if (options.window < 1 || options.window > kWindowMax)
    return "--window takes 1 to " + std::to_string(kWindowMax);
  if (options.serve &&
      (texts.pipe || options.rows > 1 || options.fill || !options.column_separator.empty() ||
       !options.grouped || !options.results.empty() || !options.job_log.empty() ||
       options.dry_run || options.halt.when != map::HaltRule::When::Never ||
       options.delay.count() > 0 || options.memory_free > 0 || options.load_max > 0))
    return "with --serve there are lines, and no jobs: of the options only -w, -a, -0, -d, "
           "--window, "
           "-k, --tag, --retries, --timeout and --no-progress go with it";
  if (texts.in_order && texts.in_any_order) return "either --keep-order or --no-keep-order";
  if (!options.grouped && (options.keep_order || options.tag || !options.results.empty()))
    return "with --ungroup jobs write for themselves: no --keep-order, --tag or --results";
  if ((options.resume || options.resume_failed) && options.job_log.empty())
    return "--resume needs the log: --joblog FILE";
  return std::nullopt;
}

}  // namespace

std::variant<MapOptions, Answer> parse_map(const std::vector<std::string>& arguments,
                                           bool (*is_terminal)(int fd)) {
  CLI::App app;
  app.prefix_command();
  app.set_help_flag();
  MapOptions options;
  MapTexts texts;
  const auto text = [&app](const char* names, auto& value) {
    return app.add_option(names, value)->type_size(1)->allow_extra_args(false);
  };
  text("-w,-j,--workers,--jobs", texts.workers);
  text("-a,--arg-file", options.files);
  app.add_flag("-0,--null", texts.null);
  text("-d,--delimiter", texts.delimiter);
  text("--colsep", options.column_separator);
  text("-n,--max-args", options.rows);
  app.add_flag("-X,--xargs", options.fill);
  app.add_flag("--pipe", texts.pipe);
  text("--block", texts.block);
  app.add_flag("--serve", options.serve);
  const CLI::Option* window = text("--window", options.window);
  app.add_flag("-k,--keep-order", texts.in_order);
  app.add_flag("--no-keep-order", texts.in_any_order);
  bool ungrouped = false;
  app.add_flag("-u,--ungroup", ungrouped);
  app.add_flag("--tag", options.tag);
  text("--results", options.results);
  text("--joblog", options.job_log);
  app.add_flag("--resume", options.resume);
  app.add_flag("--resume-failed", options.resume_failed);
  text("--retries", options.tries);
  text("--timeout", texts.timeout);
  text("--halt", texts.halt);
  text("--delay", texts.delay);
  text("--memfree", texts.memory);
  text("--load", options.load_max);
  app.add_flag("--no-progress", texts.no_progress);
  app.add_flag("--dry-run", options.dry_run);
  app.add_flag("-h,--help", texts.help);
  try {
    app.parse(std::vector<std::string>{arguments.rbegin(), arguments.rend()});
  } catch (const CLI::ParseError& error) {
    return wrong_map(error.what());
  }
  if (texts.help) return Answer{0, kMapHelp};
  std::vector<std::string> words = app.remaining();
  if (!words.empty() && words.front().size() > 1 && words.front().front() == '-' &&
      words.front() != "--")
    return wrong_map('`' + words.front() + "` is not an option of cohort map");
  read_words(std::move(words), options);
  options.jobs = available_parallelism();
  options.each_in_context = options.fill;
  options.grouped = !ungrouped;
  options.keep_order = texts.in_order;
  if (window->count() > 0 && !options.serve)
    return wrong_map("--window is of use with --serve only");
  if (const auto wrong = read_texts(texts, options)) return wrong_map(*wrong);
  if (const auto wrong = map_contradiction(texts, options)) return wrong_map(*wrong);
  if (options.grouped && !texts.in_any_order && is_terminal(1)) options.keep_order = true;
  options.progress = !texts.no_progress && !options.dry_run && options.grouped && is_terminal(2);
  return options;
}

}  // namespace cohort::cli

// Answers after ?ms=N milliseconds.
export async function GET(request) {
  const milliseconds = Number(request.nextUrl.searchParams.get('ms'));
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  return new Response('hello world\n');
}

"use client";
import { useState } from "react";
import { solveInWorker } from "@/pow/in-worker";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
export default function Register() {
  const [n, setN] = useState("");
  return <Card title="Register"><Button onClick={async () => { setN(await solveInWorker({challenge:"a",difficulty:18}, new AbortController().signal)); }}>go</Button><p>{n}</p></Card>;
}
